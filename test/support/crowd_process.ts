import type { PresenceClient, ReconnectOptions, Subscription } from "../../src/client/index.js";
import { createPresenceClient } from "../../src/client/index.js";
import { createHistory, type History } from "../guarantees/history.js";
import { recordClientEvent } from "../guarantees/record_client.js";
import { answer } from "./remote.js";

/*
 * Users in a process of their own, each with a client and so a connection of its own, who do as the parent says.
 */

/** Who comes, and how. */
export interface Arrival {
  readonly address: string;
  readonly channel: string;
  readonly users: readonly string[];
  readonly presenceTimeoutMs: number;
  readonly reconnect: ReconnectOptions;
  /** Time between pings, and for the answer, in ms. */
  readonly keepalive: readonly [number, number];
  readonly initialStates?: Readonly<Record<string, string>>;
}

/** What one user holds. */
export interface View {
  readonly status: string;
  readonly revision: bigint | undefined;
  readonly members: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

interface Person {
  readonly presence: PresenceClient;
  readonly subscription: Subscription;
  readonly history: History;
  readonly channel: string;
}

const people = new Map<string, Person>();

async function enter(arrival: Arrival): Promise<void> {
  const { address, channel, users, keepalive, reconnect, presenceTimeoutMs, initialStates } = arrival;
  await Promise.all(
    users.map(async (userId) => {
      const presence = createPresenceClient({
        address,
        userId,
        reconnect,
        channelOptions: {
          "grpc.keepalive_time_ms": keepalive[0],
          "grpc.keepalive_timeout_ms": keepalive[1],
          "grpc.initial_reconnect_backoff_ms": 100,
          "grpc.max_reconnect_backoff_ms": 500,
        },
      });
      const room = presence.channel(channel);
      const subscription = room.subscribe({ presenceTimeoutMs, initialStates });
      const history = createHistory({ userId });
      people.set(userId, { presence, subscription, history, channel });
      void (async () => {
        for await (const event of subscription) recordClientEvent(history, room, event);
      })().catch(() => {});
      await subscription.ready;
    }),
  );
}

async function leave(users: readonly string[]): Promise<History[]> {
  return Promise.all(
    users.map(async (userId) => {
      const { presence, history } = people.get(userId)!;
      people.delete(userId);
      await presence.close();
      return history;
    }),
  );
}

const calls = {
  enter,
  leave,
  /** Sets a user's state; resolves when it is carried out, however long the connection is away. */
  set: async (userId: string, states: Record<string, string>): Promise<void> => {
    const { presence, channel } = people.get(userId)!;
    await presence.channel(channel).setState(states);
  },
  /** Resolves when all are live. */
  live: async (): Promise<void> => {
    for (const { subscription } of people.values()) {
      while (subscription.status.state !== "live") await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
  views: (): Map<string, View> =>
    new Map(
      [...people].map(([userId, { subscription }]) => {
        const members = new Map([...subscription.members].map(([id, { states }]) => [id, { ...states }]));
        return [userId, { status: subscription.status.state, revision: subscription.position?.revision, members }];
      }),
    ),
  histories: (): History[] => [...people.values()].map(({ history }) => history),
};

/** What the parent may ask. */
export type CrowdCalls = typeof calls;

answer(calls as never);
