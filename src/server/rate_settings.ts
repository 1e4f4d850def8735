import type { CallRateSettings } from "../service/call_rates.js";
import { type Setting, SettingError } from "./setting.js";

/** The settings of how often users and apps may call and open streams (S21), as a part of the table of all. */
export const RATE_SETTINGS: Readonly<Record<keyof CallRateSettings, Setting>> = {
  rateLimit: {
    flag: "rate-limit",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "20",
    help: "calls a second that one user may make; 0: any number",
  },
  rateBurst: {
    flag: "rate-burst",
    kind: "count",
    min: 1,
    max: 1_000_000,
    default: "40",
    help: "calls that a user who has been silent may make at once",
  },
  appRateLimit: {
    flag: "app-rate-limit",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "0",
    help: "calls a second that all users of one app may make together; 0: any number",
  },
  appRateBurst: {
    flag: "app-rate-burst",
    kind: "count",
    min: 1,
    max: 1_000_000,
    default: "2000",
    help: "calls that an app that has been silent may make at once",
  },
  streamRateLimit: {
    flag: "stream-rate-limit",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "5",
    help: "new streams a second that one user may open; 0: any number within --rate-limit",
  },
  streamRateBurst: {
    flag: "stream-rate-burst",
    kind: "count",
    min: 1,
    max: 1_000_000,
    default: "100",
    help: "streams that a user who has opened none may open at once",
  },
  appStreamRateLimit: {
    flag: "app-stream-rate-limit",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "0",
    help: "streams a second that all users of one app may open together; 0: any number",
  },
  appStreamRateBurst: {
    flag: "app-stream-rate-burst",
    kind: "count",
    min: 1,
    max: 1_000_000,
    default: "2000",
    help: "streams that an app that has opened none may open at once",
  },
};

/** Each limit, and its burst. */
const RATES = [
  ["rateLimit", "rateBurst"],
  ["appRateLimit", "appRateBurst"],
  ["streamRateLimit", "streamRateBurst"],
  ["appStreamRateLimit", "appStreamRateBurst"],
] as const;

/** How long one who has spent its burst may take to have it back, in s: users and apps are remembered for so long. */
const MAX_REFILL_SECONDS = 600;

/** Checks each burst against its limit; throws a SettingError. */
export function checkRates(settings: CallRateSettings): void {
  for (const [limit, burst] of RATES) {
    if (settings[limit] > 0 && settings[burst] / settings[limit] > MAX_REFILL_SECONDS) {
      throw new SettingError(
        `--${RATE_SETTINGS[burst].flag} ${settings[burst]} takes longer than ${MAX_REFILL_SECONDS} s to come back ` +
          `at --${RATE_SETTINGS[limit].flag} ${settings[limit]}: raise the one or lower the other`,
      );
    }
  }
}
