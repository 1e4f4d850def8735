import { randomFillSync } from "node:crypto";

const EPOCH_BYTES = 9;

/** Drawing random bytes one epoch at a time costs 20 times as much. */
const POOLED_EPOCHS = 256;

/**
 * Makes names for lives of channels' histories: 12 random characters each, so that no two are alike, in this process or
 * another, and that an app cannot learn from its own how many channels the others open.
 */
export function randomEpochs(): () => string {
  const pool = Buffer.alloc(EPOCH_BYTES * POOLED_EPOCHS);
  let at = pool.length;
  return () => {
    if (at === pool.length) {
      randomFillSync(pool);
      at = 0;
    }
    const epoch = pool.toString("base64url", at, at + EPOCH_BYTES);
    at += EPOCH_BYTES;
    return epoch;
  };
}
