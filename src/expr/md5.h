// md5.h - the MD5 hash (RFC 1321), for the SQL function of that name.
#ifndef TARN_EXPR_MD5_H
#define TARN_EXPR_MD5_H

#include "base/slice.h"

void expr_md5(tarn_slice bytes, uint8_t digest[16]);

#endif
