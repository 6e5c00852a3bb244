// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Logging
import MeshDatapath
import MeshModel
import MeshTransport
import ServiceLifecycle

/// Hands the heartbeats that came through the overlay to those who hold their keys.
struct OverlayBeatService: Service {
    let beats: OverlayBeats
    let socket: DatagramSocket
    let log: Logger

    func run() async throws {
        let source = DispatchSource.makeReadSource(
            fileDescriptor: beats.descriptor, queue: DispatchQueue(label: "weft.overlay-beats"))
        source.setEventHandler { [beats, socket, log] in
            do throws(DatapathError) {
                try beats.consume {
                    socket.receive(inside: $0.datagram, from: $0.source, at: .monotonicNow)
                }
            } catch {
                log.warning(
                    "Heartbeats inside the overlay can't be read", metadata: ["error": "\(error)"])
            }
        }
        source.resume()
        try? await gracefulShutdown()  // cancellation ends it as well
        source.cancel()
    }
}
