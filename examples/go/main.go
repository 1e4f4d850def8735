// Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
// Ctrl-C leaves the channel.
//
// Usage: watch_room [-device ID] HOST:PORT CHANNEL USER
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "rollcall/gen/presence/v1"
)

type states = map[string]string

// What is held of a channel, and where to go on.
type watcher struct {
	client   pb.PresenceServiceClient
	room     *pb.Channel
	user     string
	device   string
	members  map[string]states
	arriving map[string]states
	position *pb.Position

	lock    sync.Mutex // for session, which Ctrl-C reads
	session string
}

func (w *watcher) currentSession() string {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.session
}

// Keeps `members` as the server has them.
func (w *watcher) apply(event *pb.PresenceEvent) {
	switch kind := event.Event.(type) {
	case *pb.PresenceEvent_Subscribed:
		w.lock.Lock()
		w.session = kind.Subscribed.SessionId
		w.lock.Unlock()
		if kind.Subscribed.Resumed {
			fmt.Println("back again")
		} else {
			fmt.Println("joined") // also when it was too late
		}
		return // what is held is not yet as of this position
	case *pb.PresenceEvent_Snapshot:
		for _, state := range kind.Snapshot.Users {
			w.arriving[state.UserId] = state.States
		}
		if !kind.Snapshot.Last {
			return
		}
		w.members, w.arriving = w.arriving, map[string]states{}
		fmt.Println("snapshot", w.members)
	case *pb.PresenceEvent_Interval:
		for _, gone := range append(kind.Interval.Left, kind.Interval.TimedOut...) {
			delete(w.members, gone)
		}
		for _, joined := range kind.Interval.Joined {
			w.members[joined] = states{}
		}
		for _, state := range kind.Interval.Changed {
			w.members[state.UserId] = state.States
		}
		fmt.Println("interval", w.members)
	case *pb.PresenceEvent_RemoteJoin:
		w.members[event.UserId] = states{}
		fmt.Println("join", event.UserId, w.members)
	case *pb.PresenceEvent_RemoteStateChanged:
		w.members[event.UserId] = kind.RemoteStateChanged.State.States
		fmt.Println("state", event.UserId, w.members)
	case *pb.PresenceEvent_RemoteLeave, *pb.PresenceEvent_RemoteTimeout:
		delete(w.members, event.UserId)
		fmt.Println("gone", event.UserId, w.members)
	}
	w.position = event.Position
}

// One subscription, until it ends. Calls `heard` at each message.
func (w *watcher) watch(heard func()) error {
	w.arriving = map[string]states{} // a snapshot that was cut off is void
	request := &pb.SubscribePresenceRequest{
		Channel: w.room, UserId: w.user, DeviceId: w.device, SessionId: w.currentSession(), ResumeFrom: w.position,
	}
	if request.SessionId == "" {
		// Only with the first join: later, another device of the user may have changed the state.
		request.InitialStates = states{"Mode": "Happy"}
	}
	// No deadline: it would end the stream.
	stream, err := w.client.SubscribePresence(context.Background(), request)
	for err == nil {
		var response *pb.SubscribePresenceResponse
		if response, err = stream.Recv(); err != nil {
			break
		}
		heard()
		for _, event := range response.Events {
			w.apply(event)
		}
	}
	return err
}

func final(code codes.Code) bool {
	switch code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Aborted, codes.FailedPrecondition:
		return true
	}
	return false
}

// What the server asks to wait at least; 0 when it does not say.
func retryDelay(failure *status.Status) time.Duration {
	for _, detail := range failure.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.RetryDelay.AsDuration()
		}
	}
	return 0
}

// Leaves on purpose: the others receive REMOTE_LEAVE at once. Only this session ends, not those of other devices.
func (w *watcher) leave() error {
	session := w.currentSession()
	if session == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := w.client.LeaveChannel(ctx, &pb.LeaveChannelRequest{Channel: w.room, UserId: w.user, SessionId: session})
	return err
}

func main() {
	device := flag.String("device", "", "id of this device of the user: chosen once, and kept")
	flag.Parse()
	if flag.NArg() != 3 {
		log.Fatal("usage: watch_room [-device ID] HOST:PORT CHANNEL USER")
	}
	conn, err := grpc.NewClient(flag.Arg(0),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	w := &watcher{
		client:  pb.NewPresenceServiceClient(conn),
		room:    &pb.Channel{Type: pb.ChannelType_CHANNEL_TYPE_MESSAGE, Name: flag.Arg(1)},
		user:    flag.Arg(2),
		device:  *device,
		members: map[string]states{},
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		<-interrupted
		if err := w.leave(); err != nil {
			log.Fatal(err)
		}
		os.Exit(0)
	}()
	for wait := time.Second; ; wait = min(wait*2, 5*time.Second) {
		err := w.watch(func() { wait = time.Second })
		if err == io.EOF {
			return // LeaveChannel was called elsewhere
		}
		failure := status.Convert(err)
		if final(failure.Code()) {
			log.Fatal(err)
		}
		fmt.Println("lost:", failure.Code())
		time.Sleep(retryDelay(failure) + rand.N(wait))
	}
}
