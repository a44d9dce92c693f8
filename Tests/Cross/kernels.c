// Holds every kernel of every feature set of this machine against the generic ones, and all of them against digests of what other
// processors computed: `kernels DIGESTS`. VLM_BLESS=1 writes them, on a processor with AVX2. Made for processors on which the other tests
// cannot be run, such as those that qemu emulates; docs/decisions/neon.md has what it promises.
#include "cross.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: kernels DIGESTS\n", stderr);
        return 2;
    }
    const char *bless = getenv("VLM_BLESS");
    find_sets();
    check_linear();
    check_packing();
    check_attention();
    check_rowwise();
    check_sampling();
    check_screen();
    check_rates();
    expect_digests(arguments[1], bless && strcmp(bless, "1") == 0);
    for (int set = 0; set < set_count; set++) printf("%s%s", set ? ", " : "", sets[set].name);
    printf(": %s\n", failures ? "FAILED" : "kernels agree");
    if (failures) printf("%d failures\n", failures);
    return failures ? 1 : 0;
}
