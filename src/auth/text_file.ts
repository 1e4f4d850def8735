import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** The largest file that is read, in bytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A file of keys, certificates or a secret. */
export interface TextFile {
  /** Its text, at least one character. */
  readonly text: string;
  /** Users other than its owner may read it. */
  readonly isReadableByOthers: boolean;
}

/** A file that cannot be used; the message holds its path and the reason, and nothing of its content. */
export class TextFileError extends Error {
  override readonly name = "TextFileError";
}

/** Reads a file. Throws a TextFileError unless it is a regular file of 1 byte to 1 MiB that holds UTF-8. */
export function readTextFile(path: string): TextFile {
  const refuse = (why: string): never => {
    throw new TextFileError(`${path} ${why}`);
  };
  let content: Buffer | undefined;
  let mode = 0;
  try {
    // Without O_NONBLOCK, opening a FIFO waits for a writer.
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = fstatSync(file);
      mode = stats.mode;
      if (stats.isFile()) content = readUpTo(file, MAX_FILE_BYTES + 1);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return refuse(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (content === undefined) return refuse("is not a regular file");
  if (content.length === 0) return refuse("is empty");
  if (content.length > MAX_FILE_BYTES) return refuse("is larger than 1 MiB");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return refuse("is not UTF-8 text");
  }
  // Windows has no such mode: it reports the same one for all files.
  return { text, isReadableByOthers: process.platform !== "win32" && (mode & 0o077) !== 0 };
}

/** The secret in the text of a file: editors end a file with a line break, which is no part of it. */
export function secretIn(text: string): string {
  return text.replace(/\r?\n$/, "");
}

function readUpTo(file: number, size: number): Buffer {
  const buffer = Buffer.alloc(size);
  let length = 0;
  for (let read = -1; read !== 0 && length < size; length += read) {
    read = readSync(file, buffer, length, size - length, length);
  }
  return buffer.subarray(0, length);
}
