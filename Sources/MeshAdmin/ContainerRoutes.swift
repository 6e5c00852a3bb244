// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Attaching containers, on the administration socket alone.
func addContainers(
    _ provider: any ContainerProvider, to router: Router<BasicRequestContext>,
    check: @escaping @Sendable () throws -> Void
) {
    router.get("/v1/containers/readiness") { _, _ in
        try check()
        return try json(try await untilShutdown { try await provider.readiness() })
    }
    router.post("/v1/containers") { request, _ in
        try check()
        let wanted = try await body(ContainerRequest.self, of: request)
        try validate(namespace: wanted.namespace, name: wanted.name)
        return try json(
            try await untilShutdown { try await provider.attach(wanted) }, status: .created)
    }
    router.post("/v1/containers/detach") { request, _ in
        try check()
        let key = try await body(ContainerKey.self, of: request)
        try await untilShutdown { try await provider.detach(key) }
        return Response(status: .noContent)
    }
    router.post("/v1/containers/check") { request, _ in
        try check()
        let wanted = try await body(ContainerCheck.self, of: request)
        try await untilShutdown { try await provider.check(wanted) }
        return Response(status: .noContent)
    }
    router.post("/v1/containers/garbage") { request, _ in
        try check()
        let wanted = try await body(
            ContainerGarbage.self, of: request, upTo: AdminServer.garbageBytesMaximum)
        return try json(try await untilShutdown { try await provider.collectGarbage(wanted) })
    }
}

/// Needs the administration socket.
extension AdminClient {
    public func attach(_ request: ContainerRequest) async throws -> ContainerInterface {
        try await post("/v1/containers", request)
    }

    public func detach(_ key: ContainerKey) async throws {
        _ = try await exchange("/v1/containers/detach", .POST, adminJSON(key))
    }

    public func check(_ request: ContainerCheck) async throws {
        _ = try await exchange("/v1/containers/check", .POST, adminJSON(request))
    }

    public func collectGarbage(
        _ request: ContainerGarbage
    ) async throws -> ContainerGarbageAnswer {
        try await post("/v1/containers/garbage", request)
    }

    public func readiness() async throws -> ContainerReadiness {
        try await get("/v1/containers/readiness")
    }
}
