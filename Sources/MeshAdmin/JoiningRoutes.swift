// SPDX-License-Identifier: Apache-2.0

import Hummingbird

/// Who belongs to the mesh.
func addJoining(
    _ provider: any JoiningProvider, to router: Router<BasicRequestContext>,
    check: @escaping @Sendable () throws -> Void
) {
    router.post("/v1/join/tokens") { request, _ in
        try check()
        let wanted = try await body(TokenRequest.self, of: request)
        return try json(
            try await untilShutdown { try await provider.makeToken(wanted) }, status: .created)
    }
    router.get("/v1/join/tokens") { _, _ in
        try json(try await untilShutdown { try await provider.tokens() })
    }
    router.post("/v1/join/tokens/{id}/revoke") { _, context in
        try check()
        let id = try context.parameters.require("id")
        return try json(try await untilShutdown { try await provider.revoke(token: id) })
    }
    router.get("/v1/introducers") { _, _ in
        try json(try await untilShutdown { try await provider.introducers() })
    }
    router.post("/v1/introducers") { request, _ in
        try check()
        let wanted = try await body(IntroducersRequest.self, of: request)
        return try json(try await untilShutdown { try await provider.setIntroducers(wanted) })
    }
    router.post("/v1/join") { request, _ in
        try check()
        let wanted = try await body(JoinRequestBody.self, of: request)
        return try json(try await untilShutdown { try await provider.join(wanted) })
    }
    router.post("/v1/leave") { request, _ in
        try check()
        let wanted = try await body(LeaveRequest.self, of: request)
        return try json(try await untilShutdown { try await provider.leave(wanted) })
    }
    router.post("/v1/roster/{cluster}/accept") { request, context in
        try check()
        let cluster = try context.parameters.require("cluster")
        let wanted = try await body(AcceptRequest.self, of: request)
        return try json(
            try await untilShutdown { try await provider.accept(cluster: cluster, wanted) })
    }
    router.post("/v1/roster/{cluster}/forget") { _, context in
        try check()
        let cluster = try context.parameters.require("cluster")
        return try json(try await untilShutdown { try await provider.forget(cluster: cluster) })
    }
}
