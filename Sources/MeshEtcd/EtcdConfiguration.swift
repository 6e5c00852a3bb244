// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One member of the etcd cluster.
public struct EtcdEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// An IPv4 or IPv6 address without brackets, or a name for DNS.
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    var address: Address? { Address(host) }

    var isLoopback: Bool {
        guard let address else { return host == "localhost" }
        return address.ipv4.map { $0 >> 24 == 127 } ?? (address == Address(high: 0, low: 1))
    }
}

/// PEM files: what etcd itself is given as `trusted-ca-file`, `cert-file` and `key-file`.
public struct EtcdCredentials: Hashable, Sendable {
    public var trustedFile: String
    public var certificateFile: String
    public var keyFile: String

    public init(trustedFile: String, certificateFile: String, keyFile: String) {
        self.trustedFile = trustedFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

public struct EtcdConfiguration: Hashable, Sendable {
    /// Tried in order, each until it fails.
    public var endpoints: [EtcdEndpoint]
    /// Nil: plain text, for loopback addresses only.
    public var credentials: EtcdCredentials?
    /// For each call. Below a lease holder's two seconds, so that an answer is worth having.
    public var timeout = Duration.milliseconds(1500)

    public init(endpoints: [EtcdEndpoint], credentials: EtcdCredentials?) {
        self.endpoints = endpoints
        self.credentials = credentials
    }
}

/// Every bound that this client keeps.
public enum EtcdLimit {
    /// Bytes of one message from etcd, which is asked to send less.
    public static let messageBytes = 4 * 1024 * 1024
    /// Bytes of keys and values in one transaction; etcd refuses requests above 1.5 MiB.
    public static let transactionBytes = 1024 * 1024
    /// Operations in one transaction: etcd's own bound, unless it was configured.
    public static let operations = 128
    /// Changes in one batch, which leaves room for what else the transaction writes.
    public static let changes = operations - 8
    /// Keys that one message lists at first; fewer when the values are long.
    static let pageKeys: Int64 = 1024
    /// Events that wait for a slow consumer before etcd has to.
    static let waitingEvents = 1024
    /// A watch that is silent for so long, though it was asked for a sign, is made anew.
    static let silence = Duration.seconds(5)
    /// Time between such questions.
    static let question = Duration.seconds(2)
    /// Time before a watch that failed is tried again, doubled with each failure in a row.
    static let pause = Duration.milliseconds(100)
    static let pauseMaximum = Duration.seconds(2)
}
