import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { PresenceEvent as PresenceEventMessage } from "../../gen/presence/v1/presence_pb.js";
import { EventReader } from "./event_reader.js";
import type { FeedEvent } from "./events.js";
import { channelIdOf, positionOf } from "./from_wire.js";

/** Reads the events of one feed, of all its streams in order, and puts the chunks of snapshots together. */
export class FeedReader {
  #begun = false;
  /** By channel: those with a snapshot that is not whole yet. */
  readonly #unfinished = new Map<string, EventReader>();

  /** The public form of the next event; undefined for a chunk of an unfinished snapshot, and for kinds yet unknown. */
  read(message: PresenceEventMessage): FeedEvent | undefined {
    if (!message.channel) return this.#readOfFeed(message);
    const channel = channelIdOf(message.channel);
    const { event } = message;
    if (event.case === "channelOccupied" || event.case === "channelVacated") {
      const kind = event.case === "channelOccupied" ? "occupied" : "vacated";
      return { kind, channel, position: positionOf(message.position), time: timeOf(message) };
    }
    const key = `${channel.type} ${channel.name}`;
    const reader = this.#unfinished.get(key) ?? new EventReader();
    const read = reader.read(message);
    if (read) this.#unfinished.delete(key);
    else this.#unfinished.set(key, reader);
    if (!read || read.kind === "unknown" || read.kind === "subscribed") return undefined;
    return { ...read, channel };
  }

  #readOfFeed(message: PresenceEventMessage): FeedEvent | undefined {
    const time = timeOf(message);
    switch (message.event.case) {
      case "subscribed": {
        const kind = this.#begun ? "resync" : "subscribed";
        this.#begun = true;
        this.#unfinished.clear();
        return { kind, channel: undefined, time };
      }
      case "snapshot":
        return { kind: "complete", channel: undefined, time };
      case "outOfService":
        this.#unfinished.clear();
        return { kind: "out_of_service", channel: undefined, time, description: message.event.value.description };
      default:
        return undefined;
    }
  }
}

/** The field is always there by contract; the moment of arrival is the nearest truth without it. */
function timeOf({ time }: PresenceEventMessage): Date {
  return time ? timestampDate(time) : new Date();
}
