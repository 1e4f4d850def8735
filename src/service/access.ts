import type * as pb from "../../gen/presence/v1/presence_pb.js";
import { appOf, type ChannelId } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import { allows, allowsAnywhere, type Right } from "../model/grant.js";
import { toChannelId } from "../wire/messages.js";
import { type Caller, mayActFor } from "./caller.js";

/*
 * The one place where a caller's rights are looked at (S20). A use case gets the channel that it works on from here and
 * from nowhere else, so that it can neither forget to name a right nor reach into another app.
 */

/** The caller's namespace; empty: the one without a name, which is that of trusted callers. */
export function callerApp(caller: Caller): string {
  return caller.grant?.app ?? "";
}

/**
 * The channel of a request, in the caller's app. Throws NOT_ALLOWED, naming right and channel, unless the caller has
 * one of these rights in it.
 */
export function allowedChannel(
  caller: Caller,
  channel: pb.Channel,
  ...rights: readonly [Right, ...Right[]]
): ChannelId {
  const { grant } = caller;
  if (grant && !rights.some((right) => allows(grant, right, channel.name)))
    throw notAllowed(caller, rights, channel.name);
  return toChannelId(channel, callerApp(caller));
}

/** Throws NOT_ALLOWED unless the caller has this right in a channel that it knows by one of its sessions. */
export function checkRight(caller: Caller, channel: ChannelId, right: Right): void {
  const { grant } = caller;
  if (grant && !allows(grant, right, channel.name)) throw notAllowed(caller, [right], channel.name);
}

/** Whether something of this channel may be known to the caller at all: whether it is of its app. */
export function isOfApp(caller: Caller, channel: ChannelId): boolean {
  return appOf(channel) === callerApp(caller);
}

/**
 * Tells in which channels the caller may see a user (S19, S20): in all of them itself and the users that it acts for,
 * of others where it has the right `query`. Throws NOT_ALLOWED if it has that right nowhere.
 */
export function visibleChannels(caller: Caller, userId: string): (channel: ChannelId) => boolean {
  const { grant } = caller;
  if (!grant || mayActFor(caller, userId)) return () => true;
  if (!allowsAnywhere(grant, "query")) {
    throw new PresenceError("NOT_ALLOWED", `user ${caller.userId} may not ask where user ${userId} is`, {
      metadata: { right: "query", user_id: userId },
    });
  }
  return ({ name }) => allows(grant, "query", name);
}

/**
 * Tells which channels the caller may watch without being in them (S20): those of its app in which it has the right
 * `feed`. Throws NOT_ALLOWED if it has that right nowhere.
 */
export function watchableChannels(caller: Caller): (channel: ChannelId) => boolean {
  const { grant } = caller;
  if (!grant) return (channel) => isOfApp(caller, channel);
  if (!allowsAnywhere(grant, "feed")) {
    throw new PresenceError("NOT_ALLOWED", `user ${caller.userId} may not watch channels`, {
      metadata: { right: "feed" },
    });
  }
  return (channel) => isOfApp(caller, channel) && allows(grant, "feed", channel.name);
}

/** What a page token is bound to, beside its query: nobody else can go on with it, in this app or another. */
export function pageScope(caller: Caller): string {
  return JSON.stringify([callerApp(caller), caller.grant ? caller.userId : ""]);
}

function notAllowed({ userId }: Caller, rights: readonly Right[], channel: string): PresenceError {
  const right = rights.join(" or ");
  return new PresenceError("NOT_ALLOWED", `user ${userId} does not have the right to ${right} in channel ${channel}`, {
    metadata: { right, channel },
  });
}
