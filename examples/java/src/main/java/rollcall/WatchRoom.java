package rollcall;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.RetryInfo;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import rollcall.presence.v1.Channel;
import rollcall.presence.v1.ChannelType;
import rollcall.presence.v1.LeaveChannelRequest;
import rollcall.presence.v1.Position;
import rollcall.presence.v1.PresenceEvent;
import rollcall.presence.v1.PresenceServiceGrpc;
import rollcall.presence.v1.PresenceServiceGrpc.PresenceServiceBlockingStub;
import rollcall.presence.v1.SubscribePresenceRequest;
import rollcall.presence.v1.SubscribePresenceResponse;

/**
 * Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
 * Ctrl-C leaves the channel.
 *
 * <p>Arguments: HOST:PORT CHANNEL USER [DEVICE]. DEVICE is an id of this device of the user: chosen once, and kept.
 */
public final class WatchRoom {
  private static final long FIRST_WAIT_MS = 1000;
  private static final long LONGEST_WAIT_MS = 5000;
  private static final Set<Status.Code> FINAL =
      Set.of(
          Status.Code.INVALID_ARGUMENT,
          Status.Code.PERMISSION_DENIED,
          Status.Code.UNAUTHENTICATED,
          Status.Code.ABORTED,
          Status.Code.FAILED_PRECONDITION);

  private final PresenceServiceBlockingStub stub;
  private final Channel room;
  private final String user;
  private final String device;
  private final Map<String, Map<String, String>> arriving = new TreeMap<>();
  private Map<String, Map<String, String>> members = new TreeMap<>();
  private volatile String session = ""; // Ctrl-C reads it in another thread
  private Position position;
  private long wait = FIRST_WAIT_MS;

  private WatchRoom(PresenceServiceBlockingStub stub, String name, String user, String device) {
    this.stub = stub;
    this.room = Channel.newBuilder().setType(ChannelType.CHANNEL_TYPE_MESSAGE).setName(name).build();
    this.user = user;
    this.device = device;
  }

  public static void main(String[] args) throws Exception {
    ManagedChannel connection =
        ManagedChannelBuilder.forTarget(args[0])
            .usePlaintext()
            .keepAliveTime(10, TimeUnit.SECONDS)
            .keepAliveTimeout(5, TimeUnit.SECONDS)
            .build();
    String device = args.length > 3 ? args[3] : "";
    WatchRoom room = new WatchRoom(PresenceServiceGrpc.newBlockingStub(connection), args[1], args[2], device);
    Runtime.getRuntime().addShutdownHook(new Thread(room::leave));
    try {
      room.run();
    } finally {
      room.session = ""; // it is over: there is nothing to leave
      connection.shutdown(); // not shutdownNow: a LeaveChannel may be in flight
    }
  }

  /** Leaves on purpose: the others receive REMOTE_LEAVE at once. Only this session ends, not those of other devices. */
  private void leave() {
    if (session.isEmpty()) {
      return;
    }
    stub.withDeadlineAfter(2, TimeUnit.SECONDS)
        .leaveChannel(
            LeaveChannelRequest.newBuilder().setChannel(room).setUserId(user).setSessionId(session).build());
  }

  private void run() throws Exception {
    while (true) {
      try {
        watch();
        return; // LeaveChannel was called, here or elsewhere
      } catch (StatusRuntimeException failure) {
        if (FINAL.contains(failure.getStatus().getCode())) {
          throw failure;
        }
        System.out.println("lost: " + failure.getStatus().getCode());
        Thread.sleep(retryDelayMs(failure) + ThreadLocalRandom.current().nextLong(wait));
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
  }

  /** One subscription, until it ends. */
  private void watch() {
    arriving.clear(); // a snapshot that was cut off is void
    SubscribePresenceRequest.Builder request =
        SubscribePresenceRequest.newBuilder()
            .setChannel(room)
            .setUserId(user)
            .setDeviceId(device)
            .setSessionId(session);
    if (session.isEmpty()) {
      // Only with the first join: later, another device of the user may have changed the state.
      request.putInitialStates("Mode", "Happy");
    }
    if (position != null) {
      request.setResumeFrom(position);
    }
    // No deadline: it would end the stream.
    Iterator<SubscribePresenceResponse> responses = stub.subscribePresence(request.build());
    while (responses.hasNext()) {
      SubscribePresenceResponse response = responses.next();
      wait = FIRST_WAIT_MS;
      response.getEventsList().forEach(this::apply);
    }
  }

  /** Keeps `members` as the server has them. */
  private void apply(PresenceEvent event) {
    switch (event.getEventCase()) {
      case SUBSCRIBED:
        session = event.getSubscribed().getSessionId();
        System.out.println(event.getSubscribed().getResumed() ? "back again" : "joined"); // or too late
        return; // what is held is not yet as of this position
      case SNAPSHOT:
        event.getSnapshot().getUsersList().forEach(state -> arriving.put(state.getUserId(), state.getStatesMap()));
        if (!event.getSnapshot().getLast()) {
          return;
        }
        members = new TreeMap<>(arriving);
        arriving.clear();
        break;
      case INTERVAL:
        event.getInterval().getLeftList().forEach(members::remove);
        event.getInterval().getTimedOutList().forEach(members::remove);
        event.getInterval().getJoinedList().forEach(joined -> members.put(joined, Map.of()));
        event.getInterval().getChangedList().forEach(state -> members.put(state.getUserId(), state.getStatesMap()));
        break;
      case REMOTE_JOIN:
        members.put(event.getUserId(), Map.of());
        break;
      case REMOTE_STATE_CHANGED:
        members.put(event.getUserId(), event.getRemoteStateChanged().getState().getStatesMap());
        break;
      case REMOTE_LEAVE:
      case REMOTE_TIMEOUT:
        members.remove(event.getUserId());
        break;
      default:
        break;
    }
    position = event.getPosition();
    System.out.println(event.getEventCase().name().toLowerCase() + " " + event.getUserId() + " " + members);
  }

  /** What the server asks to wait at least, in ms; 0 when it does not say. */
  private static long retryDelayMs(StatusRuntimeException failure) throws InvalidProtocolBufferException {
    for (Any detail : StatusProto.fromThrowable(failure).getDetailsList()) {
      if (detail.is(RetryInfo.class)) {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        return delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000;
      }
    }
    return 0;
  }
}
