<?php // Waits for the token under a merchant_data and prints it: php wait.php MERCHANT_DATA
$query = http_build_query(['merchant_data' => $argv[1], 'wait' => 25]);
$context = stream_context_create(['http' => [
    'header' => 'Authorization: Bearer ' . getenv('WORKER_API_KEY'),
    'timeout' => 35,
    'ignore_errors' => true,
]]);
$body = file_get_contents(getenv('WORKER_URL') . "/v1/tokens?$query", false, $context);
$answer = json_decode($body, true);
echo $answer['value'] ?? $answer['code'] ?? 'nothing came', PHP_EOL;
