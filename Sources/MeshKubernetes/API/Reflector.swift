// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLease
import MeshModel

/// Runs a ``ReflectorCore`` against an API server and delivers to one consumer, until cancelled.
///
/// One task, one request at a time: the consumer's pace is the socket's.
public struct Reflector: Sendable {
    public let selection: ObjectSelection
    private let client: KubernetesClient
    private let consumer: any ObjectConsumer
    private let parameters: ReflectorParameters

    public init(
        _ selection: ObjectSelection, client: KubernetesClient, consumer: any ObjectConsumer,
        parameters: ReflectorParameters = ReflectorParameters()
    ) {
        self.selection = selection
        self.client = client
        self.consumer = consumer
        self.parameters = parameters
    }

    /// Returns when its task is cancelled.
    public func run() async {
        var run = Run(reflector: self)
        while !Task.isCancelled {
            await run.advance()
        }
    }

    /// What one life of it knows.
    private struct Run {
        let reflector: Reflector
        var core: ReflectorCore
        var generator = SystemRandomNumberGenerator()
        var phase: FeedHealth.Phase?
        var since: Int64 = 0
        /// The one that is to be sent.
        var call: ReflectorCore.Call?

        init(reflector: Reflector) {
            self.reflector = reflector
            core = ReflectorCore(
                isOptional: reflector.selection.isOptional, parameters: reflector.parameters)
        }

        mutating func advance() async {
            await perform(core.step(at: .bootNow, using: &generator))
            guard let call else {
                // Woken early by cancellation only.
                try? await Task.sleep(for: max(core.wake - .bootNow, .zero))
                return
            }
            self.call = nil
            await send(call)
        }

        private mutating func send(_ call: ReflectorCore.Call) async {
            let (client, selection) = (reflector.client, reflector.selection)
            do throws(KubernetesError) {
                switch call.request {
                case .page(let limit, let token):
                    let page = try await client.page(
                        of: selection, limit: limit, continueToken: token)
                    await receive(.page(page), to: call.id)
                case .watch(let start, let seconds):
                    try await client.watch(selection, from: start, seconds: seconds) { news in
                        await receive(news.answer, to: call.id)
                        return core.isWaiting(for: call.id)
                    }
                    await receive(.ended, to: call.id)
                }
            } catch {
                guard !Task.isCancelled else { return }
                await receive(.failed(error), to: call.id)
            }
        }

        private mutating func receive(_ answer: ReflectorCore.Answer, to id: UInt64) async {
            await perform(core.receive(answer, to: id, at: .bootNow, using: &generator))
        }

        private mutating func perform(_ effects: [ReflectorCore.Effect]) async {
            for effect in effects {
                switch effect {
                case .call(let call): self.call = call
                case .deliver(let event): await deliver(event)
                case .health(let phase, let error):
                    if phase != self.phase { since = unixSeconds() }
                    self.phase = phase
                    await deliver(
                        .health(
                            FeedHealth(
                                phase: phase, sinceUnixSeconds: since, lastError: error)))
                }
            }
        }

        private func deliver(_ event: ObjectEvent) async {
            await reflector.consumer.receive(event, of: reflector.selection)
        }
    }
}

extension WatchNews {
    fileprivate var answer: ReflectorCore.Answer {
        switch self {
        case .opened: .opened
        case .event(let event): .event(event)
        }
    }
}

private func unixSeconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec)
}
