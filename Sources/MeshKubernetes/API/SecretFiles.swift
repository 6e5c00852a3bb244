// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// A folder's files as a `Secret` of an API server, and back. Sans-IO.
///
/// A file `next/root.pem` has the key `next..root.pem`: keys hold no slash, and no file of ours two
/// dots. Whoever writes names the version that it replaces.
public struct SecretFiles: Hashable, Sendable {
    /// Of all contents; an API server takes 1 MiB, base 64 included.
    public static let bytesMaximum = 512 << 10
    public static let kind = "weft.io/authority"

    /// Contents by path.
    public var files: [String: [UInt8]]
    /// Of the object that it was read from; nil: there is none yet.
    public var version: String?

    public init(files: [String: [UInt8]], version: String? = nil) {
        self.files = files
        self.version = version
    }

    /// - Throws: ``KubernetesError`` `.malformed`: an operator has to look at the object.
    public init(object bytes: [UInt8]) throws(KubernetesError) {
        let object: JSONValue
        do throws(JSONFault) { object = try JSONValue(bytes) } catch {
            throw KubernetesError(.malformed, "the Secret is no JSON")
        }
        guard let version = object["metadata"]["resourceVersion"].text,
            ObjectText.isVersion(version)
        else { throw KubernetesError(.malformed, "the Secret has no version") }
        var files: [String: [UInt8]] = [:]
        for member in object["data"].members {
            let path = member.key.split(separator: "..", omittingEmptySubsequences: false)
            guard let text = member.value.text, let data = Data(base64Encoded: text),
                (1...2).contains(path.count), path.allSatisfy({ Self.isName($0) })
            else { throw KubernetesError(.malformed, "the Secret holds what isn't a file of Weft") }
            files[path.joined(separator: "/")] = Array(data)
        }
        self.init(files: files, version: version)
    }

    /// What creates the object, or replaces the version that this was read from.
    ///
    /// - Throws: ``KubernetesError`` `.tooLarge` or `.configuration`: nothing can be written.
    public func request(
        namespace: String, name: String
    ) throws(KubernetesError) -> ObjectRequest {
        guard files.values.reduce(0, { $0 + $1.count }) <= Self.bytesMaximum else {
            throw KubernetesError(
                .tooLarge, "the authority's files are larger than \(Self.bytesMaximum) bytes")
        }
        var data = JSONValue.object([])
        for (path, contents) in files.sorted(by: { $0.key < $1.key }) {
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), parts.allSatisfy({ Self.isName($0) }) else {
                throw KubernetesError(.configuration, "no file of an authority has this name")
            }
            data[parts.joined(separator: "..")] = .string(Data(contents).base64EncodedString())
        }
        var metadata: JSONValue = ["name": .string(name), "namespace": .string(namespace)]
        if let version { metadata["resourceVersion"] = .string(version) }
        let body: JSONValue = [
            "apiVersion": "v1", "kind": "Secret", "type": .string(Self.kind),
            "metadata": metadata, "data": data,
        ]
        return version == nil
            ? ObjectRequest(.post, ObjectPath(.secrets, namespace: namespace), body: body.bytes)
            : ObjectRequest(
                .put, ObjectPath(.secrets, namespace: namespace, name: name), body: body.bytes)
    }

    private static func isName(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.first != UInt8(ascii: ".") && !text.contains("..")
            && text.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                    || $0 == UInt8(ascii: ".")
            }
    }
}
