// SPDX-License-Identifier: Apache-2.0

import CMeshPage
import FoundationEssentials
import HTTPTypes
import Hummingbird
import MeshModel
import NIOCore

/// The page and what it reads, for a listener on loopback. It can change nothing.
func pageRouter(_ provider: any AdminProvider) -> Router<BasicRequestContext> {
    let router = Router()
    router.add(middleware: PageGuard())
    router.add(middleware: FaultMiddleware())
    for file in pageFiles() {
        router.get(RouterPath(file.path)) { _, _ in
            Response(
                status: .ok, headers: [.contentType: file.type],
                body: ResponseBody(byteBuffer: file.bytes))
        }
    }
    router.get("/v1/page") { _, _ in
        try json(
            try await untilShutdown {
                try await PageState(
                    agent: provider.status(), clusters: provider.clusters(),
                    drops: provider.drops(), traffic: provider.traffic())
            })
    }
    router.get("/v1/page/services") { request, _ in
        let text = request.uri.queryParameters["find"].map(String.init) ?? ""
        return try json(
            PageServices(try await untilShutdown { try await provider.services() }, find: text))
    }
    router.get("/v1/why/{cluster}") { _, context in
        let cluster = try context.parameters.require("cluster")
        var story = try await untilShutdown {
            try await provider.why(cluster: cluster, node: nil)
        }
        story.events = story.events.suffix(PageNews.maximum)
        story.paths = Array(story.paths.prefix(PageState.pathsMaximum))
        return try json(story)
    }
    let readers = Readers()
    router.get("/v1/page/news") { request, _ in
        guard let reader = readers.enter() else {
            throw AdminFault(
                .unavailable, "\(Readers.maximum) pages are open already", hint: "close one")
        }
        return newsResponse(request, provider, reader)
    }
    return router
}

struct PageFile: Sendable {
    let path: String
    let type: String
    let bytes: ByteBuffer
}

func pageFiles() -> [PageFile] {
    var files: [PageFile] = []
    while let file = mesh_page_file(UInt(files.count))?.pointee {
        files.append(
            PageFile(
                path: String(cString: file.path), type: String(cString: file.type),
                bytes: ByteBuffer(
                    bytes: UnsafeBufferPointer(start: file.bytes, count: Int(file.size)))))
    }
    return files
}
