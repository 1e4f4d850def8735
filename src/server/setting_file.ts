import { readTextFile, type TextFile, TextFileError } from "../auth/text_file.js";
import { SettingError } from "./setting.js";

/** Reads a file that a setting names; throws a SettingError that names the setting, the file and the reason. */
export function readSettingFile(flag: string, path: string): TextFile {
  try {
    return readTextFile(path);
  } catch (error) {
    throw error instanceof TextFileError ? new SettingError(`${flag}: ${error.message}`) : error;
  }
}
