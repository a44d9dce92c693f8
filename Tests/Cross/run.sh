#!/bin/sh
# Holds the kernels of this machine and, under qemu, those of 64-bit ARM against the generic ones and against the same digests. Without
# what that takes ARM is skipped, by name.
set -eu
cd "$(dirname "$0")/../.."
out=.build/cross
digests=Tests/Cross/digests.txt
flags="-O2 -Wall -Wextra -Wno-unused-parameter -Werror -ISources/CKernels/include"
mkdir -p $out

# build NAME FLAGS…: the program, unless it is newer than its sources.
build() {
    program=$out/$1
    shift
    if [ -e "$program" ] && [ -z "$(find Sources/CKernels Tests/Cross -newer "$program" -name '*.[chi]*')" ]; then return; fi
    rm -rf "$program.objects"
    mkdir -p "$program.objects"
    for source in Sources/CKernels/*.c Sources/CKernels/*/*.c Tests/Cross/*.c; do
        printf '%s %s\n' "$source" "$program.objects/$(echo "$source" | tr / -).o"
    done | xargs -P "$(getconf _NPROCESSORS_ONLN)" -L 1 sh -c 'clang $0 -c "$1" -o "$2"' "$(echo $flags "$@")"
    clang "$@" "$program.objects"/*.o -lm -o "$program"
}

build here
$out/here $digests

root=/usr/aarch64-linux-gnu
gcc=$(ls -d /usr/lib/gcc-cross/aarch64-linux-gnu/* 2>/dev/null | tail -1)
lacks=
command -v qemu-aarch64 >/dev/null || lacks="$lacks qemu-user"
command -v ld.lld >/dev/null || lacks="$lacks lld"
[ -e $root/lib/libc.a ] || lacks="$lacks libc6-dev-arm64-cross"
[ -n "$gcc" ] || lacks="$lacks libgcc-12-dev-arm64-cross"
if [ -n "$lacks" ]; then
    echo "test-neon: skipped the kernels of 64-bit ARM, this machine lacks$lacks (Debian's names)"
    exit 0
fi
build neon --target=aarch64-linux-gnu -nostdlibinc -isystem $root/include -static -fuse-ld=lld -Wno-unused-command-line-argument -B$root/lib -L$root/lib -B"$gcc" -L"$gcc"
for processor in max cortex-a57; do
    printf '%s: ' $processor
    VLM_BLESS= qemu-aarch64 -cpu $processor $out/neon $digests
done
