// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// The level of a log, whoever holds a copy of it.
final class SharedLogLevel: Sendable {
    private let held: Mutex<Logger.Level>

    init(_ level: Logger.Level) { held = Mutex(level) }

    var level: Logger.Level {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }
}

/// Writes like the handler that it wraps; its level is everybody's.
struct SharedLevelHandler: LogHandler {
    private var base: any LogHandler
    private let shared: SharedLogLevel

    init(_ base: any LogHandler, _ shared: SharedLogLevel) {
        self.base = base
        self.shared = shared
    }

    var logLevel: Logger.Level {
        get { shared.level }
        set { shared.level = newValue }
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { base.log(event: event) }
}
