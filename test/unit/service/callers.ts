import type { ChannelGrant, Grant } from "../../../src/model/grant.js";
import { DEFAULT_CHANNELS } from "../../../src/model/grant.js";
import type { Caller } from "../../../src/service/caller.js";

/** An authenticated caller, with what a token without a claim grants unless said otherwise. */
export function authenticated(userId: string, grant: Partial<Grant> = {}): Caller {
  return { userId, grant: { app: "", channels: DEFAULT_CHANNELS, actAs: [], expiresAt: undefined, ...grant } };
}

/** Rights in all channels. */
export function everywhere(...allow: ChannelGrant["allow"]): readonly ChannelGrant[] {
  return [{ pattern: "*", allow }];
}
