"""The database: engine, tables, one file of queries per table. Times are stored as milliseconds since 1970, UTC."""
