/** What a caller may be allowed to do in a channel (S20). The names are those of the claim in a token. */
export const RIGHTS = ["subscribe", "write", "read", "query", "feed"] as const;

/**
 * One of the rights: `subscribe` to take part and hear, `write` to set states and hold leases, `read` to ask who is
 * there and in what state, `query` to ask where other users are, `feed` to watch many channels at once.
 */
export type Right = (typeof RIGHTS)[number];

/** One name as it is, or the names of a pattern: `room:7`, `room:*`, `*`. Only a star at its end stands for anything. */
export type NameRule = { readonly name: string } | { readonly pattern: string };

/** Rights in the channels of these names, of either type. */
export type ChannelGrant = NameRule & { readonly allow: readonly Right[] };

/** All that an authenticated caller may do (S20). */
export interface Grant {
  /** The namespace that the caller lives in: its channels, users and sessions are met by nobody of another one. */
  readonly app: string;
  /** What is allowed where. What no entry allows is refused. */
  readonly channels: readonly ChannelGrant[];
  /** Users for whom the caller may act, beside itself. */
  readonly actAs: readonly NameRule[];
  /** When the caller's proof of who it is runs out, ms since 1970; `undefined`: it does not. */
  readonly expiresAt: number | undefined;
  /** The key that signed the caller's token, where that key may be withdrawn. */
  readonly keyId?: string | undefined;
}

/** What a caller is granted whose token says nothing of it: to take part in every channel of its app. */
export const DEFAULT_CHANNELS: readonly ChannelGrant[] = [{ pattern: "*", allow: ["subscribe", "write", "read"] }];

/** Whether a rule means this name. */
export function matches(rule: NameRule, name: string): boolean {
  if ("name" in rule) return name === rule.name;
  const { pattern } = rule;
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** Whether a grant has a right in the channel of this name. */
export function allows(grant: Grant, right: Right, channelName: string): boolean {
  return grant.channels.some((entry) => entry.allow.includes(right) && matches(entry, channelName));
}

/** Whether a grant has a right in any channel at all. */
export function allowsAnywhere(grant: Grant, right: Right): boolean {
  return grant.channels.some(({ allow }) => allow.includes(right));
}
