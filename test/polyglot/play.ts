import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import type { Outcome, Runner } from "./runner.js";
import { type Chapter, difference, filled, type Kept, keep, type Role, type Step } from "./scenario.js";

/** Channels that tell in intervals (S18). Each step hears of its own change alone: nobody waits for a certain moment. */
const LARGE = { "interval:*": { announceMax: 2, interval: 20 } };

interface Stage {
  readonly runners: Readonly<Record<Role, Runner>>;
  readonly proxies: Readonly<Record<Role, TcpProxy>>;
  readonly kept: Kept;
}

/** Plays the scenario against a server of its own. Rejects at the first step that does not go as it should. */
export async function play(scenario: readonly Chapter[], actor: Runner, watcher: Runner): Promise<void> {
  const server = await startTestServer({ channel: LARGE });
  const proxies = { actor: await TcpProxy.to(server.address), watcher: await TcpProxy.to(server.address) };
  try {
    await actor.connect(proxies.actor.address);
    await watcher.connect(proxies.watcher.address);
    const stage = { runners: { actor, watcher }, proxies, kept: new Map() };
    for (const { title, steps } of scenario) {
      for (const [i, step] of steps.entries()) {
        await carryOut(step, stage).catch((error: Error) => {
          throw new Error(`${title}, step ${i + 1} ${JSON.stringify(step)}: ${error.message}`);
        });
      }
    }
  } finally {
    await Promise.all([proxies.actor.close(), proxies.watcher.close()]);
    await server.close();
  }
}

async function carryOut(step: Step, stage: Stage): Promise<void> {
  if (step.cut) stage.proxies[step.cut].cut();
  else if (step.close) await stage.runners[step.close].reconnect(stage.proxies[step.close].address);
  else if (step.cancel) await cancel(step.cancel, stage);
  else if (step.actor) await call("actor", step.actor, step, stage);
  else if (step.watcher) await call("watcher", step.watcher, step, stage);
  else if (step.ends) await ended(step, stage);
  else await heard(step, stage);
}

async function call(role: Role, method: string, step: Step, { runners, kept }: Stage): Promise<void> {
  const { user, stream } = step;
  const { answer, error } = await runners[role].tell({ call: method, user, stream, request: filled(step.with, kept) });
  const wrong = step.error
    ? difference(step.error, error, "the error")
    : error
      ? `it was refused: ${JSON.stringify(error)}`
      : difference(filled(step.answer ?? {}, kept), answer, "the answer");
  if (wrong) throw new Error(wrong);
  keep(step.keep, answer, kept);
}

async function heard({ stream, hears = [], keep: paths }: Step, stage: Stage): Promise<void> {
  const { events } = streamOf(stream!, stage);
  const taken = await events.take(hears.length);
  const wrong = difference(filled(hears, stage.kept), taken, stream);
  if (wrong) throw new Error(wrong);
  if (hears.length === 0 && events.size > 0) throw new Error(`${stream} heard ${JSON.stringify(events.drain())}`);
  keep(paths, taken, stage.kept);
}

async function ended({ stream, ends, reason }: Step, stage: Stage): Promise<void> {
  const outcome: Outcome = await streamOf(stream!, stage).end.next();
  const wrong =
    ends === "failure"
      ? outcome.code === "OK" && "it ended with OK"
      : difference({ code: ends, reason: reason ?? "" }, outcome, "the end");
  if (wrong) throw new Error(wrong);
}

async function cancel(name: string, stage: Stage): Promise<void> {
  const runner = Object.values(stage.runners).find((one) => one.stream(name));
  await runner?.tell({ cancel: name });
  // The end has to be there before the server's next answer is taken for one to a caller that has left.
  await streamOf(name, stage).end.next();
}

function streamOf(name: string, { runners }: Stage) {
  const stream = runners.actor.stream(name) ?? runners.watcher.stream(name);
  if (!stream) throw new Error(`nobody opened a stream ${name}`);
  return stream;
}
