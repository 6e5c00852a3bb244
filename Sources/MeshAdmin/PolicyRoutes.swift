// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// What policies say.
func addPolicies(_ provider: any PolicyProvider, to router: Router<BasicRequestContext>) {
    router.get("/v1/policies") { _, _ in
        try json(try await untilShutdown { try await provider.policies() })
    }
    router.get("/v1/policies/trace") { request, _ in
        let query = request.uri.queryParameters
        func parameter(_ name: String) throws -> String {
            guard let value = query[name[...]] else {
                throw AdminFault(.invalidRequest, "the parameter \(name) is missing")
            }
            return String(value)
        }
        let source = try parameter("from")
        let destination = try parameter("to")
        let traffic = try parameter("traffic")
        return try json(
            try await untilShutdown {
                try await provider.trace(from: source, to: destination, traffic: traffic)
            })
    }
    router.get("/v1/policies/{kind}/{name}") { _, context in
        let name = try ["kind", "name"].map { try context.parameters.require($0) }
            .joined(separator: "/")
        return try json(try await untilShutdown { try await provider.policy(name) })
    }
    router.get("/v1/policies/{kind}/{namespace}/{name}") { _, context in
        let name = try ["kind", "namespace", "name"].map { try context.parameters.require($0) }
            .joined(separator: "/")
        return try json(try await untilShutdown { try await provider.policy(name) })
    }
    // Changes nothing: anybody may ask.
    router.post("/v1/policies/check") { request, _ in
        let manifest: ByteBuffer
        do {
            manifest = try await request.body.collect(upTo: AdminServer.manifestBytesMaximum)
        } catch is NIOTooManyBytesError {
            throw AdminFault(
                .tooLarge, "the file is larger than \(AdminServer.manifestBytesMaximum) bytes",
                hint: "split it")
        }
        let bytes = Array(manifest.readableBytesView)
        return try json(try await untilShutdown { try await provider.checkPolicies(bytes) })
    }
}

extension AdminClient {
    public func policies() async throws -> [PolicyStatus] { try await get("/v1/policies") }

    /// - Parameter name: `NetworkPolicy/shop/db`.
    public func policy(_ name: String) async throws -> PolicyMeaning {
        let parts = name.split(separator: "/").map { segment(String($0)) }
        return try await get("/v1/policies/\(parts.joined(separator: "/"))")
    }

    /// - Parameter manifest: at most 4 MiB of YAML or JSON.
    public func checkPolicies(_ manifest: [UInt8]) async throws -> PolicyCheckAnswer {
        let path = "/v1/policies/check"
        return try await ask(path, .POST, manifest)
    }

    /// See ``PolicyProvider/trace(from:to:traffic:)``.
    public func trace(
        from source: String, to destination: String, traffic: String
    ) async throws -> PolicyTraceAnswer {
        try await get(
            "/v1/policies/trace?from=\(segment(source))&to=\(segment(destination))"
                + "&traffic=\(segment(traffic))")
    }
}
