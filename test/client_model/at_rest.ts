import { setTimeout as sleep } from "node:timers/promises";
import type { Device } from "./device.js";
import { differencesOf } from "./replay.js";
import type { Truth } from "./restarting_server.js";
import type { Round } from "./round.js";
import type { Viewer } from "./viewer.js";

/** How long it may take until everything agrees, in ms, on a busy machine and after a graceful shutdown. */
const PATIENCE_MS = 30_000;
const POLL_MS = 20;

/** Heals all faults and waits until clients and server agree; throws a list of differences if they do not. */
export async function rest(round: Round): Promise<void> {
  await round.heal();
  for (const one of [...round.viewers, ...round.watchers]) one.drain(true);
  await agree(() => lateCalls(round));
  for (const device of round.devices) await agree(() => unreachable(device));
  for (const device of round.devices) await endLeases(round, device);
  const expected = { withGhosts: true };
  await agree(() => differences(round, expected));
  // What was left behind is over now, and nothing else.
  round.skip();
  for (const device of round.devices) device.leases = [];
  expected.withGhosts = false;
  await agree(() => differences(round, expected));
  await rebase(round);
}

/** Closes all clients, and waits until the server has forgotten everything. */
export async function end(round: Round): Promise<void> {
  await Promise.all(round.devices.map((device) => round.calls.follow("close", device, device.client.close())));
  const gauges = ["sessions", "present", "channels", "pending_states", "kept_bytes", "connections"];
  await agree(async () => {
    for (let n = 0; n < 20; n++) round.skip();
    const lines = gauges.map(async (name) => {
      const value = await round.server.gauge(`rollcall_${name}`);
      return value === 0 ? [] : [`after all clients were closed: rollcall_${name} is ${value}`];
    });
    return (await Promise.all(lines)).flat().concat(round.problems, round.calls.problems);
  });
}

/** Waits until there are no differences, twice in a row. */
async function agree(differences: () => Promise<string[]>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (let agreed = 0; agreed < 2; ) {
    const found = await differences();
    agreed = found.length === 0 ? agreed + 1 : 0;
    if (found.length > 0 && performance.now() > until) throw new Error(found.join("\n"));
    await sleep(POLL_MS);
  }
}

async function lateCalls({ calls }: Round): Promise<string[]> {
  return calls.inFlight.map(({ label, device }) => `${device.label}: ${label} does not settle`);
}

async function unreachable(device: Device): Promise<string[]> {
  return device
    .channel(0)
    .count()
    .then(
      () => [],
      (error) => [`${device.label} cannot call: ${error}`],
    );
}

/** Finds out which leases are alive, and forgets the others. */
async function endLeases(round: Round, device: Device): Promise<void> {
  if (device.leases.length === 0) return;
  const expired = new Set(await device.client.heartbeat(device.leases.map(({ sessionId }) => sessionId)));
  for (const lease of device.leases) {
    const isKept = round.isKept(lease) && !device.left.has(lease.channel);
    if (isKept && expired.has(lease.sessionId)) round.problems.push(`${device.label}: a lease was lost`);
  }
  device.leases = device.leases.filter(({ sessionId }) => !expired.has(sessionId));
}

async function differences(round: Round, { withGhosts }: { readonly withGhosts: boolean }): Promise<string[]> {
  const truths = await round.server.truths();
  return [
    ...round.problems,
    ...round.calls.problems,
    ...round.viewers.flatMap((viewer) => wrongWith(viewer, truths[viewer.channel]!)),
    ...round.watchers.flatMap((watcher) => watcher.differences(truths)),
    ...presence(round, truths, withGhosts),
    ...ownStates(round, truths),
    ...(withGhosts ? [] : await leftOvers(round)),
  ];
}

/** What is wrong with one subscription. */
function wrongWith(viewer: Viewer, truth: Truth): string[] {
  const { subscription, replay, label, how } = viewer;
  const { status } = subscription;
  const lines = [...viewer.problems];
  const wrong = (text: string) => lines.push(`${label} ${text}`);
  if (status.state === "closed") {
    if (!viewer.mayEnd) wrong(`ended by itself: ${status.reason}`);
    return lines;
  }
  if (status.state !== "live") return [...lines, `${label} is ${status.state}`];
  if (!viewer.isReady) wrong("is live and not ready");
  if (!how.withPresence) {
    if (subscription.members.size > 0) wrong("has members without presence");
    return lines;
  }
  for (const line of differencesOf(subscription.members, truth.members)) wrong(`has ${line}`);
  const { position } = subscription;
  if (position?.epoch !== truth.epoch || position.revision > truth.revision) {
    wrong(`is at ${position?.epoch} ${position?.revision}, the server at ${truth.epoch} ${truth.revision}`);
  }
  if (viewer.isIterated) {
    for (const line of differencesOf(replay.members, truth.members, viewer.unheard)) wrong(`was told ${line}`);
  }
  return lines;
}

/** Who is present, and should be. */
function presence({ devices, viewers, places }: Round, truths: readonly Truth[], withGhosts: boolean): string[] {
  return places.flatMap(({ userId, channel, mayHaveGhosts }) => {
    const isHere = (one: { readonly channel: number }) => one.channel === channel;
    const sessions = viewers.filter((one) => one.userId === userId && isHere(one) && one.isOpen && one.isVisible);
    const leases = devices
      .filter((device) => device.userId === userId)
      .flatMap((device) => device.leases.filter(isHere));
    const isPresent = truths[channel]!.members.has(userId);
    const expected = sessions.length + leases.length > 0;
    if (isPresent === expected || (isPresent && withGhosts && mayHaveGhosts)) return [];
    return [`${userId} is ${isPresent ? "present" : "absent"} in channel ${channel}, with ${sessions.length} sessions`];
  });
}

function ownStates({ viewers, places }: Round, truths: readonly Truth[]): string[] {
  return places.flatMap(({ userId, channel, own }) => {
    const member = truths[channel]!.members.get(userId);
    if (!member) return [];
    const mine = viewers.filter((viewer) => viewer.userId === userId && viewer.channel === channel);
    const holders = mine.filter(({ isVisible }) => isVisible).map(({ holder }) => holder);
    return own.differences(member.states, holders).map((line) => `${userId} in channel ${channel}: ${line}`);
  });
}

/** What the server has beyond the open subscriptions. */
async function leftOvers(round: Round): Promise<string[]> {
  const open = round.viewers.filter(({ isOpen }) => isOpen);
  const expected = {
    rollcall_sessions: open.length,
    'rollcall_readers{state="live"}': open.filter(({ how }) => how.withPresence).length,
    'rollcall_watchers{state="live"}': round.watchers.filter(({ isOpen }) => isOpen).length,
  };
  const lines = Object.entries(expected).map(async ([name, wanted]) => {
    const value = await round.server.gauge(name);
    return value === wanted ? [] : [`${name} is ${value}, expected ${wanted}`];
  });
  return (await Promise.all(lines)).flat();
}

/** Begins a new part from what was seen at rest. */
async function rebase(round: Round): Promise<void> {
  const truths = await round.server.truths();
  for (const place of round.places) {
    const member = truths[place.channel]!.members.get(place.userId);
    place.own.rebase(member?.states, round.now());
    place.known = member && member.revision !== 0n ? [{ revision: member.revision, at: round.now() }] : [];
    place.mayHaveGhosts = false;
  }
  for (const device of round.devices) {
    device.viewers = device.openViewers;
    device.watchers = device.openWatchers;
    device.isDisturbed = false;
    device.wasReopened = false;
    device.left.clear();
  }
  for (const viewer of round.viewers) viewer.rebase();
  for (const one of [...round.viewers, ...round.watchers]) one.drain(false);
}
