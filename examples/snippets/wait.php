<?php // Waits for the token under a merchant_data and prints it: php wait.php MERCHANT_DATA
if ($argc !== 2) {
    fwrite(STDERR, "usage: wait.php MERCHANT_DATA\n");
    exit(2);
}
$query = http_build_query(['merchant_data' => $argv[1], 'wait' => 25]);
$context = stream_context_create(['http' => [
    'header' => 'Authorization: Bearer ' . getenv('WORKER_API_KEY'),
    'timeout' => 35,
    'ignore_errors' => true,
]]);
$body = file_get_contents(getenv('WORKER_URL') . "/v1/tokens?$query", false, $context);
$answer = json_decode($body, true);
if (!isset($answer['value'])) {
    fwrite(STDERR, ($answer['code'] ?? 'nothing came') . PHP_EOL);
    exit($body === '' ? 3 : 1);
}
echo $answer['value'], PHP_EOL;
