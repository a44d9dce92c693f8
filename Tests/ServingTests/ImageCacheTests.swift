import Serving
import Testing

@Suite struct ImageCacheTests {
    private func digest(_ value: Int) -> ContentDigest { ContentDigest { $0.update(value) } }

    @Test func dropsTheLeastRecentlyUsedBeyondItsBytes() {
        var cache = ImageCache(capacityBytes: 48)
        cache.insert(Embeddings([1, 2, 3, 4]), for: digest(1))
        cache.insert(Embeddings([5, 6, 7, 8]), for: digest(2))
        #expect(cache.find(digest(1))?.values == [1, 2, 3, 4])
        cache.insert(Embeddings([9, 9, 9, 9, 9, 9, 9, 9]), for: digest(3))
        #expect(cache.byteCount == 48)
        #expect(cache.find(digest(2)) == nil)
        #expect(cache.find(digest(1)) != nil)
        cache.insert(Embeddings(Array(repeating: 0, count: 13)), for: digest(4))
        #expect(cache.find(digest(4)) == nil)
        #expect(cache.byteCount == 48)
        #expect(cache.queries == 4 && cache.hits == 2)
    }
}
