// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshDatapath
import ServiceLifecycle
import Synchronization

/// Counts the entries of the tables that the programs fill. Nobody keeps their number, and to count is
/// to read them all: too much for a scrape.
final class MapCensus: Service {
    static let interval = Duration.seconds(30)

    private let datapath: any Datapath
    private let log: Logger
    private let counted = Mutex<[String: Int]>([:])

    init(datapath: any Datapath, log: Logger) {
        self.datapath = datapath
        self.log = log
    }

    /// By map, half a minute old at most; empty before the first count.
    var entries: [String: Int] { counted.withLock { $0 } }

    func run() async throws {
        count()
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() { count() }
    }

    private func count() {
        do throws(DatapathError) {
            let entries = try datapath.countedEntries()
            counted.withLock { $0 = entries }
        } catch {
            log.warning("Entries of maps can't be counted", metadata: ["error": "\(error)"])
        }
    }
}
