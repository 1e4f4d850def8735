import type { ChannelCredentials } from "@grpc/grpc-js";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/**
 * Credentials that open no connection any more once their channel is closed.
 *
 * grpc-js 1.14 connects once more when the back-off after a failed connection has passed, even if the channel was closed
 * meanwhile, and never closes that connection.
 */
export function closingCredentials(given: ChannelCredentials): ChannelCredentials {
  const _createSecureConnector: ChannelCredentials["_createSecureConnector"] = (...args) =>
    closing(given._createSecureConnector(...args));
  // grpc-js looks at the class of credentials.
  return Object.create(given, { _createSecureConnector: { value: _createSecureConnector } }) as ChannelCredentials;
}

function closing(connector: SecureConnector): SecureConnector {
  let isClosed = false;
  return {
    waitForReady: () => connector.waitForReady(),
    getCallCredentials: () => connector.getCallCredentials(),
    connect(socket) {
      if (isClosed) return Promise.reject(new Error("the channel is closed"));
      return connector.connect(socket);
    },
    destroy() {
      isClosed = true;
      connector.destroy();
    },
  };
}
