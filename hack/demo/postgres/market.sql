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
CREATE ROLE report_reader LOGIN PASSWORD :'reader';
ALTER ROLE report_reader SET default_transaction_read_only = on;
GRANT SELECT ON stocks, basket TO report_reader;
ANALYZE;
