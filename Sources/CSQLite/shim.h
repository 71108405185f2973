#include <sqlite3.h>

/* Variadic, which Swift cannot call. Before the first connection: each one then takes memory for the pages it has,
   and not for twenty at once (SQLITE_CONFIG_PAGECACHE). */
static inline int mailhookd_sqlite_take_pages_one_by_one(void) {
    return sqlite3_config(SQLITE_CONFIG_PAGECACHE, (void *)0, 0, 0);
}
