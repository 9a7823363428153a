import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Writes the events that it reads, each a line of Avro's JSON, with the serializer that its settings name. */
public class Service {
  public static void main(String[] args) throws Exception {
    String topic = args[1];
    Schema schema = new Schema.Parser().parse(Path.of(args[2]).toFile());
    var settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("key.serializer", StringSerializer.class.getName());
    settings.load(Files.newBufferedReader(Path.of(args[3])));
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var reader = new GenericDatumReader<GenericRecord>(schema);
    try (var producer = new KafkaProducer<String, GenericRecord>(settings)) {
      for (String line; (line = lines.readLine()) != null; ) {
        GenericRecord event = reader.read(null, DecoderFactory.get().jsonDecoder(schema, line));
        String key = event.get("entity_id").toString();
        producer.send(new ProducerRecord<>(topic, key, event)).get();
      }
    }
  }
}
