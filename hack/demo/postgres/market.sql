-- Public market data as vega-datasets ships it: monthly prices of five stocks, 2000 to 2010.
CREATE DATABASE market;
\connect market
CREATE TABLE stocks (symbol text, day date, price numeric(10, 2), PRIMARY KEY (symbol, day));
SET datestyle = 'ISO, MDY';
\copy stocks FROM '/etc/demo/stocks.csv' WITH (FORMAT csv, HEADER)
-- Equal parts of the four that are there from the start; 100 is the first month.
CREATE VIEW basket AS
    SELECT day, round(avg(100 * price / opening), 2) AS price
    FROM stocks
    JOIN (SELECT DISTINCT ON (symbol) symbol, price AS opening FROM stocks ORDER BY symbol, day) AS first
        USING (symbol)
    WHERE symbol <> 'GOOG'
    GROUP BY day;
-- The made-up book of docs/examples/weekly-positions, the same on each day, so that the examples of
-- the docs have rows for any report date.
CREATE TABLE book (
    as_of date, desk text, isin text PRIMARY KEY, security text, quantity int, price numeric(10, 2),
    value numeric, change_percent numeric
);
\copy book FROM '/etc/demo/positions.csv' WITH (FORMAT csv, HEADER)
CREATE TABLE positions (
    day date, as_of date GENERATED ALWAYS AS (day) STORED, desk text, isin text, security text,
    quantity int, price numeric(10, 2), change_percent numeric, PRIMARY KEY (day, isin)
);
INSERT INTO positions (day, desk, isin, security, quantity, price, change_percent)
    SELECT day, desk, isin, security, quantity, price, change_percent
    FROM book, generate_series(
        least(date '2026-01-01', current_date - 30), current_date + 730, interval '1 day'
    ) AS day;
CREATE INDEX ON positions (as_of);
CREATE ROLE report_reader LOGIN PASSWORD :'reader';
ALTER ROLE report_reader SET default_transaction_read_only = on;
GRANT SELECT ON stocks, basket, positions TO report_reader;
ANALYZE;
