// Stands in for NVIDIA's library_types.h: cudaDataType_t, which cublasLt.h has.
#pragma once
#include "cublasLt.h"
