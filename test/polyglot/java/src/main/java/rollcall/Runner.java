package rollcall;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import rollcall.presence.v1.PresenceServiceGrpc;

/** The runner in Java, over grpc-java's blocking stub. The protocol stands in ../../../../../../runner.ts. */
public final class Runner {
  private static final Gson GSON = new Gson();
  // The entries of a batch may hold an error with its details.
  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer()
          .usingTypeRegistry(
              JsonFormat.TypeRegistry.newBuilder().add(ErrorInfo.getDescriptor()).add(BadRequest.getDescriptor()).build());
  private static final Metadata.Key<String> USER = Metadata.Key.of("x-user-id", Metadata.ASCII_STRING_MARSHALLER);

  private final Map<String, Context.CancellableContext> streams = new HashMap<>();
  private ManagedChannel channel;

  public static void main(String[] args) throws Exception {
    Runner runner = new Runner();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonObject command = JsonParser.parseString(line).getAsJsonObject();
      JsonObject said = new JsonObject();
      said.add("id", command.get("id"));
      try {
        said.add("answer", runner.carryOut(command));
      } catch (StatusRuntimeException refusal) {
        said.add("error", outcome(refusal));
      }
      say(said);
    }
    System.exit(0);
  }

  private JsonElement carryOut(JsonObject command) throws Exception {
    if (command.has("connect")) {
      if (channel != null) {
        channel.shutdownNow();
      }
      channel = ManagedChannelBuilder.forTarget(command.get("connect").getAsString()).usePlaintext().build();
    } else if (command.has("close")) {
      channel.shutdownNow();
    } else if (command.has("cancel")) {
      streams.get(command.get("cancel").getAsString()).cancel(null);
    } else if (command.has("stream")) {
      String name = command.get("stream").getAsString();
      Context.CancellableContext context = Context.current().withCancellation();
      streams.put(name, context);
      new Thread(context.wrap(() -> listen(name, command))).start();
    } else {
      return json((Message) call(command));
    }
    return new JsonObject();
  }

  private Object call(JsonObject command) throws Exception {
    AbstractStub<?> stub = PresenceServiceGrpc.newBlockingStub(channel);
    if (command.has("user")) {
      Metadata metadata = new Metadata();
      metadata.put(USER, command.get("user").getAsString());
      stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
    }
    String name = command.get("call").getAsString();
    String local = Character.toLowerCase(name.charAt(0)) + name.substring(1);
    Method method =
        Arrays.stream(stub.getClass().getMethods()).filter(one -> one.getName().equals(local)).findFirst().orElseThrow();
    Message.Builder request =
        (Message.Builder) method.getParameterTypes()[0].getMethod("newBuilder").invoke(null);
    JsonFormat.parser().merge(GSON.toJson(command.get("request")), request);
    try {
      return method.invoke(stub, request.build());
    } catch (InvocationTargetException thrown) {
      throw (StatusRuntimeException) thrown.getCause();
    }
  }

  private void listen(String name, JsonObject command) {
    JsonObject end = new JsonObject();
    end.addProperty("stream", name);
    try {
      Iterator<?> responses = (Iterator<?>) call(command);
      while (responses.hasNext()) {
        Message response = (Message) responses.next();
        for (Object event : (List<?>) response.getField(response.getDescriptorForType().findFieldByName("events"))) {
          JsonObject said = new JsonObject();
          said.addProperty("stream", name);
          said.add("event", json((Message) event));
          say(said);
        }
      }
      JsonObject ok = new JsonObject();
      ok.addProperty("code", "OK");
      end.add("end", ok);
    } catch (StatusRuntimeException refusal) {
      end.add("end", outcome(refusal));
    } catch (Exception error) {
      throw new IllegalStateException(error);
    }
    say(end);
  }

  private static JsonObject outcome(StatusRuntimeException refusal) {
    JsonObject outcome = new JsonObject();
    outcome.addProperty("code", refusal.getStatus().getCode().name());
    outcome.addProperty("reason", "");
    outcome.addProperty("field", "");
    com.google.rpc.Status status = StatusProto.fromThrowable(refusal);
    try {
      for (com.google.protobuf.Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          outcome.addProperty("reason", detail.unpack(ErrorInfo.class).getReason());
        } else if (detail.is(BadRequest.class)) {
          outcome.addProperty("field", detail.unpack(BadRequest.class).getFieldViolations(0).getField());
        }
      }
    } catch (com.google.protobuf.InvalidProtocolBufferException error) {
      throw new IllegalStateException(error);
    }
    return outcome;
  }

  private static JsonElement json(Message message) throws com.google.protobuf.InvalidProtocolBufferException {
    return JsonParser.parseString(PRINTER.print(message));
  }

  private static synchronized void say(JsonObject line) {
    System.out.println(GSON.toJson(line));
    System.out.flush();
  }
}
