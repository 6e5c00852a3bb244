// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore

/// Replacing the authority's keys.
func addRotation(
    _ provider: any RotationProvider, to router: Router<BasicRequestContext>,
    check: @escaping @Sendable () throws -> Void
) {
    router.get("/v1/ca/rotation") { _, _ in
        try json(try await untilShutdown { try await provider.rotationStatus() })
    }
    router.get("/v1/ca/bundle") { _, _ in
        let document = try await untilShutdown { try await provider.spiffeBundle() }
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: document)))
    }
    router.post("/v1/ca/rotation") { request, _ in
        try check()
        let wanted = try await body(RotationRequest.self, of: request)
        return try json(try await untilShutdown { try await provider.rotate(wanted) })
    }
}

/// Needs the socket of the cluster's home; wishes need its administration socket.
extension AdminClient {
    public func rotation() async throws -> RotationStatus { try await get("/v1/ca/rotation") }

    public func rotate(_ request: RotationRequest) async throws -> RotationAnswer {
        try await post("/v1/ca/rotation", request)
    }

    /// The own cluster's roots in the format of SPIFFE, JSON.
    public func spiffeBundle() async throws -> [UInt8] { try await exchange("/v1/ca/bundle") }
}
