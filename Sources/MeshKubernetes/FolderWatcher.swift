// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Watches a folder of manifests and yields what it says whenever that changes.
///
/// A thread of its own sleeps in the kernel until a file was closed after writing, moved or
/// deleted; a half-written file is never read. What comes within 2 ms becomes one snapshot. If the
/// folder is removed, what it last said stays in force until it is back.
public final class FolderWatcher: Sendable {
    /// The first snapshot at once, then one for every change. Only the newest one waits for a slow
    /// reader. One reader; when it stops reading, or the watcher is released, the watch ends.
    public let snapshots: AsyncStream<FolderSnapshot>
    private let wake: WakeSignal

    /// - Throws: ``FolderError`` if the folder isn't there or can't be watched.
    public init(path: String) throws(FolderError) {
        let inotify = try Inotify(folder: path)
        let wake = try WakeSignal(path: path)
        var folder = ManifestFolder(path: path)
        _ = try folder.scan(nowUnixSeconds: Int64(time(nil)))
        let (stream, continuation) = AsyncStream.makeStream(
            of: FolderSnapshot.self, bufferingPolicy: .bufferingNewest(1))
        continuation.yield(folder.snapshot)
        continuation.onTermination = { _ in wake.signal() }
        snapshots = stream
        self.wake = wake
        let loop = FolderWatchLoop(
            inotify: inotify, wake: wake, folder: folder, continuation: continuation)
        guard startThread({ loop.run() }) else { throw FolderError(path: path, errno: EAGAIN) }
    }

    /// Ends the thread and finishes ``snapshots``.
    public func stop() { wake.signal() }

    deinit { wake.signal() }
}

/// What the thread of a ``FolderWatcher`` does. Only that thread touches it.
private final class FolderWatchLoop: @unchecked Sendable {
    /// Changes that come closer together than this belong together, up to `gatherMaximum`.
    private static let quietMilliseconds: Int32 = 1
    private static let gatherMaximum = Duration.milliseconds(2)
    /// How often a folder that was removed is looked for.
    private static let lostRetryMilliseconds: Int32 = 250

    private let inotify: Inotify
    private let wake: WakeSignal
    private var folder: ManifestFolder
    private let continuation: AsyncStream<FolderSnapshot>.Continuation
    private var isLost = false

    init(
        inotify: Inotify, wake: WakeSignal, folder: ManifestFolder,
        continuation: AsyncStream<FolderSnapshot>.Continuation
    ) {
        self.inotify = inotify
        self.wake = wake
        self.folder = folder
        self.continuation = continuation
    }

    func run() {
        while true {
            let timeout = isLost ? Self.lostRetryMilliseconds : -1
            let ready = waitForInput(inotify.descriptor, wake.descriptor, milliseconds: timeout)
            if ready.second { break }
            var news = FolderNews()
            if ready.first { gather(into: &news) }
            if apply(news) { continuation.yield(folder.snapshot) }
        }
        continuation.finish()
    }

    private func gather(into news: inout FolderNews) {
        let clock = ContinuousClock()
        let end = clock.now + Self.gatherMaximum
        inotify.read(into: &news)
        while clock.now < end,
            waitForInput(
                inotify.descriptor, wake.descriptor, milliseconds: Self.quietMilliseconds
            ).first
        {
            inotify.read(into: &news)
        }
    }

    /// Returns whether the snapshot changed.
    private func apply(_ news: FolderNews) -> Bool {
        let now = Int64(time(nil))
        do throws(FolderError) {
            if news.isLost { throw FolderError(path: folder.path, errno: ENOENT) }
            if isLost {
                try inotify.watchAgain()
                isLost = false
                return try folder.scan(nowUnixSeconds: now)
            }
            if news.needsScan || folder.isFull { return try folder.scan(nowUnixSeconds: now) }
        } catch {
            isLost = true
            return folder.noteLoss(error, nowUnixSeconds: now)
        }
        var changed = false
        for name in news.names.sorted() where folder.reread(name, nowUnixSeconds: now) {
            changed = true
        }
        return changed
    }
}
