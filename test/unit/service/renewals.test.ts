import assert from "node:assert/strict";
import { type LeaseSession, type Member, stranger } from "../../../src/channel/member.js";
import type { ChannelId } from "../../../src/model/channel_id.js";
import { KeptLease, Renewals } from "../../../src/service/renewals.js";

const channel: ChannelId = { type: 1, name: "room" };
const place = { channel, userId: "ann" };
const lease: LeaseSession = { kind: "lease", id: "lease", quiet: false, ttlMs: 30, deadline: 130 };
const stream = {
  kind: "stream",
  id: "stream",
  quiet: false,
  timeoutMs: 5,
  attachment: 0,
  deadline: undefined,
} as const;
const member: Member = { ...stranger("ann"), sessions: [stream, lease] };

describe("service: renewals that are not stored (S17)", () => {
  it("puts a lease off, for the life that is given from then on", () => {
    const kept = new KeptLease(place, 30, 130);
    assert.equal(kept.putOff(undefined, 110), true);
    assert.equal(kept.deadline, 140);
    assert.equal(kept.putOff(50, 120), true);
    assert.equal(kept.putOff(undefined, 130), true);
    assert.deepEqual([kept.ttlMs, kept.deadline], [50, 180]);
  });

  it("leaves what has run out, and what would run out earlier, to a command", () => {
    const kept = new KeptLease(place, 30, 130);
    assert.equal(kept.putOff(undefined, 130), false);
    assert.equal(kept.putOff(19, 110), false);
    assert.deepEqual([kept.ttlMs, kept.deadline], [30, 130]);
    assert.equal(kept.putOff(20, 110), true);
  });

  it("shows a member as of the last renewals, and the stored one where there were none", () => {
    const renewals = new Renewals();
    assert.equal(renewals.applyTo(member), member);
    renewals.keep(place, lease);
    assert.equal(renewals.applyTo(member), member);
    renewals.find("lease")!.putOff(40, 120);
    assert.deepEqual(renewals.applyTo(member).sessions, [stream, { ...lease, ttlMs: 40, deadline: 160 }]);
  });

  it("S23 forgets the leases that have ended, and those alone", () => {
    const renewals = new Renewals();
    const other: LeaseSession = { ...lease, id: "other" };
    renewals.keep(place, lease);
    renewals.keep(place, other);
    const both: Member = { ...member, sessions: [stream, lease, other] };
    renewals.forgetEnded(both, { ...both, sessions: [stream, other] });
    assert.equal(renewals.find("lease"), undefined);
    assert.equal(renewals.find("other")?.deadline, 130);
    renewals.forgetEnded({ ...both, sessions: [stream, other] }, { ...both, sessions: [] });
    assert.equal(renewals.size, 0);
  });
});
