// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshAdmin
import MeshDatapath
import MeshModel
import MeshStore
import MeshTransport
import ServiceLifecycle

/// Takes flow events from the kernel and keeps the newest. They are turned into words only for
/// somebody who reads them. Identities that a policy depends on and that aren't known here are asked
/// for.
struct FlowService: Service {
    /// The ring buffer holds some 10,000 events; at this pace 200,000 a second fit.
    static let interval = Duration.milliseconds(50)

    private static let unknownIdentity = "unknown_identity"

    let datapath: any Datapath
    let hub: FlowHub<FlowEvent>
    let ledger: FlowLedger
    let store: MeshStore
    let state: StateService
    let log: Logger

    func run() async throws {
        var isFailing = false
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            do throws(DatapathError) {
                var unknown: Set<ClusterID> = []
                let endpoints = store.snapshot().endpoints
                var events: [FlowEvent] = []
                var batch = FlowLedger.Batch { FlowLedger.Workload(endpoints[$0]) }
                defer {
                    hub.publish(events)
                    ledger.add(batch, at: .monotonicNow)
                }
                try datapath.consumeEvents {
                    events.append($0)
                    batch.add($0)
                    if $0.reason?.label == Self.unknownIdentity {
                        unknown.formUnion($0.strangers)
                    }
                }
                isFailing = false
                for cluster in unknown { await state.catchUp(with: cluster) }
            } catch {
                if !isFailing {
                    log.warning("Flow events can't be read", metadata: ["error": "\(error)"])
                }
                isFailing = true
            }
        }
    }
}

extension FlowEvent {
    /// Clusters whose identity a policy depends on: of the side that isn't the policy's.
    fileprivate var strangers: [ClusterID] {
        let sides = policy.map { $0.direction == .ingress ? [source] : [destination] }
        return (sides ?? [source, destination]).compactMap(\.identity.cluster)
    }
}
