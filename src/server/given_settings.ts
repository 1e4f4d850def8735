import { checkChannelSettings } from "./channel_settings.js";
import { checkValue, SettingError } from "./setting.js";
import { checkSettings, defaultSettings, SETTINGS, type ServerSettings } from "./settings.js";

/**
 * The settings of a server that a program starts: what is not given, or `undefined`, is as by default. Throws a
 * SettingError on a setting that there is not, on a value that is not allowed, and on what makes no sense together.
 */
export function resolveSettings(given: Partial<ServerSettings>): ServerSettings {
  const chosen = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [key, value] of chosen) {
    if (!Object.hasOwn(SETTINGS, key)) {
      throw new SettingError(`${key}: there is no such setting; there are ${Object.keys(SETTINGS).join(", ")}`);
    }
    const setting = SETTINGS[key as keyof ServerSettings];
    if (setting.kind === "channels") checkChannelSettings(key, value);
    else checkValue(key, setting, value);
  }
  const settings = { ...defaultSettings(), ...Object.fromEntries(chosen) } as ServerSettings;
  checkSettings(settings);
  return settings;
}
