// The target is header-only; a C target needs one source file.
#include "CHeadstreamBytes.h"
