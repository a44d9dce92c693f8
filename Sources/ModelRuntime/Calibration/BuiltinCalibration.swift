extension CalibrationSet {
    /// A few prompts in several languages, about what models are asked, and pictures drawn by code.
    package static let builtin = CalibrationSet(
        name: "builtin",
        prompts: [
            Prompt("What shapes are in this picture?", answer: "A red square on the left and a blue circle on the right.", pictures: [TestPicture.shapes.file]),
            Prompt("Which bar is the tallest?", answer: "The third bar from the left.", pictures: [TestPicture.bars.file]),
            Prompt("Beschreibe das Bild in einem Satz.", pictures: [TestPicture.stripes.file]),
            Prompt("这张图片里有什么？", pictures: [TestPicture.lines.file]),
            Prompt("Compare the two pictures.", pictures: [TestPicture.shapes.file, TestPicture.waves.file]),
            Prompt("Explain in three sentences why the sky is blue.", answer: "Sunlight holds all colours. Air scatters short waves far more than long ones. So blue light reaches us from everywhere."),
            Prompt("Was ist der Unterschied zwischen einem Wal und einem Fisch?", answer: "Wale sind Säugetiere: Sie atmen Luft und säugen ihre Jungen."),
            Prompt("Écris une courte recette de soupe à l'oignon.", answer: "Émincez quatre oignons, faites-les dorer au beurre, ajoutez un litre de bouillon, laissez cuire vingt minutes."),
            Prompt("¿Cuáles son las ventajas de aprender otro idioma?"),
            Prompt("Translate to English: Доброе утро! Как дела сегодня?", answer: "Good morning! How are you today?"),
            Prompt("用简单的话解释什么是光合作用。", answer: "植物用阳光把水和二氧化碳变成养分，同时放出氧气。"),
            Prompt("日本の四季について短く説明してください。"),
            Prompt("اكتب جملة عن أهمية القراءة."),
            Prompt("Write a Python function that returns the n-th Fibonacci number.", answer: "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a"),
            Prompt("A train leaves at 14:35 and arrives at 17:10. How long is the journey?", answer: "2 hours and 35 minutes."),
            Prompt("Return JSON with the fields name, age and city for Anna, 31, from Oslo.", answer: "{\"name\": \"Anna\", \"age\": 31, \"city\": \"Oslo\"}"),
            Prompt("Summarise: The meeting was moved from Monday to Wednesday because the room was booked, and everybody was told by mail."),
        ], isForAnyModel: true)
}

/// A picture of 224 × 224 pixels, drawn by rules.
struct TestPicture {
    private static let side = 224
    private let colour: (_ x: Int, _ y: Int) -> (red: Int, green: Int, blue: Int)

    /// A BMP file of 24 bits a pixel.
    var file: [UInt8] {
        let side = Self.side, size = side * side * 3
        func four(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        var file: [UInt8] = [0x42, 0x4D] + four(54 + size) + four(0) + four(54)
        file += four(40) + four(side) + four(side) + [1, 0, 24, 0] + four(0) + four(size) + four(2835) + four(2835) + four(0) + four(0)
        for y in (0..<side).reversed() {
            for x in 0..<side {
                let (red, green, blue) = colour(x, y)
                file += [blue, green, red].map { UInt8(clamping: $0) }
            }
        }
        return file
    }

    static var shapes: TestPicture {
        TestPicture { x, y in
            if (30..<90).contains(x), (80..<140).contains(y) { return (220, 40, 40) }
            let (right, down) = (x - 160, y - 110)
            return right * right + down * down < 35 * 35 ? (40, 60, 220) : (240, 240, 235)
        }
    }

    static var bars: TestPicture {
        TestPicture { x, y in
            let heights = [60, 100, 180, 130, 90]
            let bar = x / 45
            guard bar < heights.count, x % 45 > 10, y > 210 - heights[bar] else { return y > 210 ? (20, 20, 20) : (255, 255, 255) }
            return (60 + 35 * bar, 150 - 20 * bar, 90 + 20 * bar)
        }
    }

    static var stripes: TestPicture { TestPicture { x, y in (x + y) / 16 % 2 == 0 ? (250, 200 - y / 2, 40) : (20 + x / 2, 60, 110) } }

    /// Rows of short strokes, as a page of text has from afar.
    static var lines: TestPicture {
        TestPicture { x, y in
            let (row, word) = (y / 14, x / 9)
            let isInk = y % 14 > 4 && y % 14 < 11 && (x * 7 + row * 5) % 4 < 2 && (word * 31 + row * 17) % 7 > 1
            return isInk && x > 12 && x < 212 ? (25, 25, 30) : (252, 250, 245)
        }
    }

    /// Smooth gradients with a grain that repeats.
    static var waves: TestPicture {
        TestPicture { x, y in
            let grain = (x * 1_103 + y * 1_663 + x * y * 37) % 23
            return (x * 255 / side + grain, y * 255 / side - grain, (x * x + y * y) / 400 + grain)
        }
    }
}
