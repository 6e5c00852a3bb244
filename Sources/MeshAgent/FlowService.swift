// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshAdmin
import MeshDatapath
import ServiceLifecycle

/// Takes flow events from the kernel and keeps the newest. They are turned into words only for
/// somebody who reads them.
struct FlowService: Service {
    /// The ring buffer holds some 10,000 events; at this pace 200,000 a second fit.
    static let interval = Duration.milliseconds(50)

    let datapath: any Datapath
    let hub: FlowHub<FlowEvent>
    let log: Logger

    func run() async throws {
        var isFailing = false
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            do throws(DatapathError) {
                try datapath.consumeEvents { hub.publish($0) }
                isFailing = false
            } catch {
                if !isFailing {
                    log.warning("Flow events can't be read", metadata: ["error": "\(error)"])
                }
                isFailing = true
            }
        }
    }
}
