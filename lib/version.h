/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOVE_VERSION_H
#define DOVE_VERSION_H

#define DOVE_VERSION "0.1.0"

#endif
