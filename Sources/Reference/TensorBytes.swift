package import Tensors

extension Tensor {
    /// Reads little-endian elements as checkpoints store them; nil when the count is wrong or an i64 does not fit 32 bits.
    package init?(_ element: DType, _ shape: [Int], bytes: UnsafeRawBufferPointer) {
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow else { return nil }
            count = product
        }
        let (size, overflow) = count.multipliedReportingOverflow(by: element.byteCount)
        guard !overflow, size == bytes.count else { return nil }
        func load<T>(_ index: Int, _ type: T.Type) -> T {
            bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: type)
        }
        func floats(_ read: (Int) -> Float) -> Storage {
            .floats([Float](unsafeUninitializedCapacity: count) { buffer, initialized in
                for index in 0..<count { buffer.initializeElement(at: index, to: read(index)) }
                initialized = count
            })
        }
        func ints(_ read: (Int) -> Int32) -> Storage { .ints((0..<count).map(read)) }
        let storage: Storage
        switch element {
        case .f32: storage = floats { load($0, Float.self) }
        case .bf16: storage = floats { Float(bitPattern: UInt32(load($0, UInt16.self)) << 16) }
        case .f16: storage = floats { Float(load($0, Float16.self)) }
        case .f64: storage = floats { Float(load($0, Double.self)) }
        case .i32: storage = ints { load($0, Int32.self) }
        case .i16: storage = ints { Int32(load($0, Int16.self)) }
        case .i8: storage = ints { Int32(load($0, Int8.self)) }
        case .u8: storage = ints { Int32(load($0, UInt8.self)) }
        case .bool: storage = ints { load($0, UInt8.self) != 0 ? 1 : 0 }
        case .i64:
            guard (0..<count).allSatisfy({ Int32(exactly: load($0, Int64.self)) != nil }) else { return nil }
            storage = ints { Int32(truncatingIfNeeded: load($0, Int64.self)) }
        }
        self.init(unchecked: storage, shape, element)
    }

    /// The elements as little-endian bytes in their type.
    package var bytes: [UInt8] {
        switch (storage, element) {
        case (.floats(let values), .bf16): Self.bytes(values) { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
        case (.floats(let values), .f16): Self.bytes(values) { Float16($0) }
        case (.floats(let values), .f64): Self.bytes(values) { Double($0) }
        case (.floats(let values), _): Self.bytes(values) { $0 }
        case (.ints(let values), .i64): Self.bytes(values) { Int64($0) }
        case (.ints(let values), .i16): Self.bytes(values) { Int16(truncatingIfNeeded: $0) }
        case (.ints(let values), .i8), (.ints(let values), .u8), (.ints(let values), .bool):
            Self.bytes(values) { UInt8(truncatingIfNeeded: $0) }
        case (.ints(let values), _): Self.bytes(values) { $0 }
        }
    }

    private static func bytes<S, T>(_ values: [S], _ convert: (S) -> T) -> [UInt8] {
        let size = MemoryLayout<T>.size
        return [UInt8](unsafeUninitializedCapacity: values.count * size) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for (index, value) in values.enumerated() { raw.storeBytes(of: convert(value), toByteOffset: index * size, as: T.self) }
            initialized = values.count * size
        }
    }
}
