// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshLease

/// The publisher's lease as a `Lease` of `coordination.k8s.io/v1`; see ``KubernetesLease``.
public struct KubernetesLeaseStore: LeaseStore {
    public let parameters: LeaseParameters
    private let client: KubernetesClient
    private let lease: KubernetesLease

    /// - Parameters:
    ///   - namespace: where the agent runs.
    ///   - name: of the object.
    public init(
        client: KubernetesClient, namespace: String, name: String = "weft-publisher",
        parameters: LeaseParameters = .contended
    ) {
        self.client = client
        self.parameters = parameters
        lease = KubernetesLease(namespace: namespace, name: name, parameters: parameters)
    }

    public func read() async throws(LeaseStoreError) -> LeaseState? {
        switch await exchange(.read) {
        case .read(let state): return state
        case .failed(let error): throw error
        case .swap: throw LeaseStoreError(.malformed, "the answer is another question's")
        }
    }

    public func swap(
        _ record: LeaseRecord, replacing version: LeaseVersion?
    ) async throws(LeaseStoreError) -> LeaseSwap {
        switch await exchange(.swap(record, replacing: version)) {
        case .swap(let swap): return swap
        case .failed(let error): throw error
        case .read: throw LeaseStoreError(.malformed, "the answer is another question's")
        }
    }

    /// The keeper's own looks tell it all: a watch would be a request more, and save none of them.
    public func changes() -> AsyncStream<LeaseState?> { AsyncStream { _ in } }

    private func exchange(_ request: LeaseCall.Request) async -> LeaseAnswer {
        var step = lease.begin(request, at: Date(), nonce: .random(in: 0 ... .max))
        while true {
            switch step {
            case .answer(let answer): return answer
            case .ask(let asked):
                let result: Result<[UInt8], KubernetesError>
                do throws(KubernetesError) {
                    result = .success(try await client.answer(to: asked))
                } catch {
                    result = .failure(error)
                }
                step = lease.proceed(request, asked, result)
            }
        }
    }
}
