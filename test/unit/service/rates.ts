import type { CallRateSettings } from "../../../src/service/call_rates.js";

/** No limit but those given. */
export function ratesOff(on: Partial<CallRateSettings> = {}): CallRateSettings {
  const users = { rateLimit: 0, rateBurst: 40, streamRateLimit: 0, streamRateBurst: 40 };
  return { ...users, appRateLimit: 0, appRateBurst: 2000, appStreamRateLimit: 0, appStreamRateBurst: 2000, ...on };
}
