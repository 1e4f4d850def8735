import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { invalidField } from "../model/errors.js";

const MAC_BYTES = 12;

/**
 * Makes and reads page tokens: opaque to clients, good for one query alone, and refused when altered (S19).
 *
 * The secret lives as long as the process: a token of an earlier life of the server is refused, and the client begins
 * again.
 */
export class PageTokens {
  readonly #secret = randomBytes(32);

  /** A token that brings `cursor` back for the same `query` (any string that tells queries apart). */
  seal(query: string, cursor: string): string {
    return Buffer.concat([this.#mac(query, cursor), Buffer.from(cursor)]).toString("base64url");
  }

  /** The cursor in a token; throws INVALID_PAGE_TOKEN if it was altered or made for another query. */
  open(query: string, token: string): string {
    const bytes = Buffer.from(token, "base64url");
    const cursor = bytes.subarray(MAC_BYTES).toString();
    // Base64 has several spellings of the same bytes; only ours counts as unaltered.
    const genuine =
      bytes.length >= MAC_BYTES &&
      bytes.toString("base64url") === token &&
      timingSafeEqual(bytes.subarray(0, MAC_BYTES), this.#mac(query, cursor));
    if (!genuine) {
      throw invalidField("INVALID_PAGE_TOKEN", "page_token", "is not one that this server gave for this query");
    }
    return cursor;
  }

  #mac(query: string, cursor: string): Buffer {
    const key = JSON.stringify([query, cursor]);
    return createHmac("sha256", this.#secret).update(key).digest().subarray(0, MAC_BYTES);
  }
}
