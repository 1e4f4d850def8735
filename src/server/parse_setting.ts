import type { ListenAddress } from "../rpc/connections.js";
import { parseChannelSettings } from "./channel_settings.js";
import { nameOf, parseQuantity, type Setting, SettingError } from "./setting.js";

/** Reads a setting as a person wrote it; throws a SettingError that says what is allowed. */
export function parseSetting(setting: Setting, text: string): unknown {
  switch (setting.kind) {
    case "address":
      return parseAddress(setting, text);
    case "text":
    case "secret":
      if (text === "") throw new SettingError(`${nameOf(setting)}: must not be empty`);
      return text;
    case "switch":
      return parseChoice(setting, ["true", "false"], text) === "true";
    case "choice": {
      const chosen = parseChoice(setting, setting.choices, text);
      return setting.choices.includes("false") ? chosen === "true" : chosen;
    }
    case "channels":
      return parseChannelSettings(setting.flag, text);
    default:
      return parseQuantity(setting, text);
  }
}

function parseAddress(setting: Setting, text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65535) {
    throw new SettingError(`--${setting.flag}: "${text}" is not HOST:PORT, such as 127.0.0.1:50051 or [::1]:50051`);
  }
  return { host: (match[1] ?? match[2])!, port };
}

function parseChoice(setting: Setting, choices: readonly string[], text: string): string {
  if (!choices.includes(text)) {
    throw new SettingError(`--${setting.flag}: "${text}" is not one of ${choices.join(", ")}`);
  }
  return text;
}
