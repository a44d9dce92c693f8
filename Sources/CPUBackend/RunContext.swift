import CKernels
import Execution
import Plan
import Synchronization
import Tensors

/// The symbols of a program's plans, and their place in `RunContext.extents`.
struct SymbolTable {
    let names: [String]

    init(_ plans: [ExecutionPlan]) { names = Set(plans.flatMap(\.bounds.keys)).sorted() }

    /// Nil for a symbol that no plan has a bound for.
    func index(of name: String) -> Int? { names.firstIndex(of: name) }
}

/// The symbols whose values a batch of tokens or a vision call says itself.
enum PlanSymbol: String, CaseIterable {
    /// Token rows of the batch.
    case tokens = "T"
    /// Rows whose logits are wanted.
    case samples = "B"
    /// Rows of image embeddings handed in.
    case images = "I"
}

/// An extent that is looked up in the batch at hand.
struct Extent {
    let factor: Int
    /// Index into `RunContext.extents`; −1 for a fixed extent.
    let symbol: Int

    func value(_ context: RunContext) -> Int {
        symbol < 0 ? factor : factor * context.extents[symbol]
    }
}

/// What the steps of a plan find while they run.
final class RunContext {
    /// Memory of the plan's intermediate values.
    let arena: UnsafeMutableRawPointer
    /// Values of the symbols, in the order of their table.
    let extents: UnsafeMutablePointer<Int>
    private let places: [PlanSymbol: Int]
    /// The batch of an `extend` or `decode` run.
    var io: StepIO?
    /// The images of a vision run.
    var vision: VisionBuffers?
    /// The first status other than OK that a kernel returned.
    let failure = Atomic<UInt32>(0)

    init(arena: UnsafeMutableRawPointer, symbols: SymbolTable) {
        self.arena = arena
        extents = .allocate(capacity: max(symbols.names.count, 1))
        extents.initialize(repeating: 0, count: max(symbols.names.count, 1))
        let known = PlanSymbol.allCases.compactMap { symbol in symbols.index(of: symbol.rawValue).map { (symbol, $0) } }
        places = Dictionary(uniqueKeysWithValues: known)
    }

    /// Gives the symbols of a vision call their values.
    func set(_ values: [String: Int], _ symbols: SymbolTable) {
        for (name, value) in values {
            if let place = symbols.index(of: name) { extents[place] = value }
        }
    }

    /// Gives a symbol its value for the batch at hand; one that no plan has is passed over.
    func set(_ symbol: PlanSymbol, _ value: Int) {
        if let place = places[symbol] { extents[place] = value }
    }

    deinit { extents.deallocate() }

    /// Remembers a kernel's complaint.
    func check(_ status: vlm_status) {
        guard status.rawValue != VLM_OK.rawValue else { return }
        failure.store(status.rawValue, ordering: .relaxed)
    }
}

/// The buffer of a batch in which an output lies; of images there is one.
enum OutputBuffer {
    case logits, hidden, innerStates

    init(_ index: Int, of plan: ExecutionPlan) {
        self = index == 0 ? .logits : plan.outputs[index].name == ExecutionPlan.innerStatesName ? .innerStates : .hidden
    }
}

/// Where a step's operand lies, once per load.
struct Operand {
    enum Place {
        case arena(Int)
        case input(InputRole)
        case tensor(Int)
        case output(OutputBuffer)
        case memory(UnsafeRawPointer)
    }
    let place: Place
    let element: DType
    /// Every extent; none for a scalar.
    let dims: [Extent]
    /// The first extent.
    let rows: Extent
    /// Elements of one row, the product of all extents but the first; with symbols at 1 where rows vary in size.
    let columns: Int
    /// Elements between rows.
    let stride: Int
    /// Extent of the last axis.
    var width: Int { dims.count > 1 ? dims[dims.count - 1].factor : columns }

    /// The operand's address for the batch at hand; nil for an input that the batch does not have.
    func address(_ context: RunContext) -> UnsafeMutableRawPointer? {
        switch place {
        case .arena(let offset): context.arena + offset
        case .memory(let pointer): UnsafeMutableRawPointer(mutating: pointer)
        case .output(let buffer): context.outputAddress(buffer)
        case .input(let role): context.inputAddress(role)
        case .tensor(let index): context.vision?.address(ofTensor: index)
        }
    }

    func floats(_ context: RunContext) -> UnsafeMutablePointer<Float>? {
        address(context)?.assumingMemoryBound(to: Float.self)
    }

    func integers(_ context: RunContext) -> UnsafeMutablePointer<Int32>? {
        address(context)?.assumingMemoryBound(to: Int32.self)
    }
}

extension RunContext {
    fileprivate func outputAddress(_ buffer: OutputBuffer) -> UnsafeMutableRawPointer? {
        guard let io else { return vision?.outputAddress }
        return switch buffer {
        case .logits: UnsafeMutableRawPointer(io.logits.baseAddress)
        case .hidden: UnsafeMutableRawPointer(io.hidden.baseAddress)
        case .innerStates: UnsafeMutableRawPointer(io.innerStates.baseAddress)
        }
    }

    fileprivate func inputAddress(_ role: InputRole) -> UnsafeMutableRawPointer? {
        switch role {
        case .ids: UnsafeMutableRawPointer(io?.ids.baseAddress)
        case .positions: UnsafeMutableRawPointer(io?.positions.baseAddress)
        case .slots: UnsafeMutableRawPointer(io?.slots.baseAddress)
        case .imageRows: UnsafeMutableRawPointer(io?.imageRows.baseAddress)
        case .imageEmbeds: UnsafeMutableRawPointer(io?.imageEmbeds.baseAddress)
        case .sampleRows: UnsafeMutableRawPointer(io?.sampleRows.baseAddress)
        case .stateSlots: UnsafeMutableRawPointer(io?.stateSlots.baseAddress)
        case .ordinals: UnsafeMutableRawPointer(io?.ordinals.baseAddress)
        case .adapters: UnsafeMutableRawPointer(io?.adapters.baseAddress)
        case .innerStates: UnsafeMutableRawPointer(io?.innerStates.baseAddress)
        }
    }
}
