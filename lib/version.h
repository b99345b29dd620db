/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs say they are. */
#ifndef DOVE_VERSION_H
#define DOVE_VERSION_H

#define DOVE_VERSION "0.1.0"

#endif
