import { AUTH } from "./auth.js";
import { COUNT_ONLY } from "./count_only.js";
import { EMPTY_CHANNELS } from "./empty_channels.js";
import { FAN_OUTS } from "./fan_outs.js";
import { GROWTH } from "./growth.js";
import { HEARTBEAT } from "./heartbeat.js";
import { IDLE_MEMBERS } from "./idle_members.js";
import { IDLE_READER } from "./idle_reader.js";
import { INTERVAL } from "./interval.js";
import { JOIN_GROWTH } from "./join_growth.js";
import { JOIN_STORM } from "./join_storm.js";
import { LARGE_JOIN } from "./large_join.js";
import { REFUSED } from "./refused.js";
import type { Shape } from "./shape.js";
import { STEADY } from "./steady.js";
import { UNARY } from "./unary.js";

/** Every shape, in the order of the page. */
export const SHAPES: readonly Shape[] = [
  ...FAN_OUTS,
  STEADY,
  UNARY,
  AUTH,
  REFUSED,
  HEARTBEAT,
  COUNT_ONLY,
  JOIN_STORM,
  JOIN_GROWTH,
  LARGE_JOIN,
  INTERVAL,
  IDLE_READER,
  IDLE_MEMBERS,
  GROWTH,
  EMPTY_CHANNELS,
];
