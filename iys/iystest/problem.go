package iystest

import "strings"

// problem is one entry of the errors array.
type problem struct {
	Index    int // -1 and below: none; batch answers carry it
	indexed  bool
	Location []any
	Value    any
	Code     string
	Message  string // empty: the text of the code
}

// texts are İYS's own words where the documents print them (iys-api.md §17.2)
// and a short sentence of ours elsewhere.
var texts = map[string]string{
	"H001":  "Hizmet sağlayıcı bulunamadı.",
	"H014":  "Gönderilen istek JSON formatına uygun olmalıdır.",
	"H015":  "Beklenmedik bir hata oluştu!",
	"H016":  "Bayi isteği geçerli değil.",
	"H018":  "Marka bulunamadı.",
	"H031":  "Kullanıcı bulunamadı.",
	"H017":  "Alan çok uzun.",
	"H058":  "Bayi bulunamadı.",
	"H061":  "Bayi silinemedi.",
	"H084":  "Saatte kabul edilen kimlik doğrulama istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H085":  "İzin ekleme isteği geçerli değil.",
	"H086":  "Saatte kabul edilen tekil izin durumu sorgulama istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H089":  "Saatte kabul edilen izin geçmişi listeleme istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H090":  "Bayi izin erişimi ekleme isteği geçerli değil.",
	"H091":  "Tek seferde en fazla 1000 izin gönderilebilir.",
	"H092":  "Çoklu izin ekleme isteği geçerli değil.",
	"H093":  "Kullanıcı adı veya parola bulunamadı.",
	"H097":  "İzin sorgulama isteği geçerli değil.",
	"H103":  "Sunucuda arama yapılamadı.",
	"H110":  "Durum (status) bulunamadı.",
	"H111":  "İzin tipi (type) bulunamadı.",
	"H112":  "İzin tarihi (consentDate) bulunamadı.",
	"H113":  "İzin kaynağı (source) bulunamadı.",
	"H114":  "Alıcı (recipient) bulunamadı.",
	"H115":  "Durum (status) için uygun değerler: ONAY, RET",
	"H116":  "Alıcı tipi (recipientType) için uygun değerler: BIREYSEL, TACIR",
	"H117":  "İzin tipi (type) için uygun değerler: ARAMA, MESAJ, EPOSTA",
	"H118":  "Tanımlanmamış alan.",
	"H119":  "İzin kaynağı (source) uygun bir değer olmalıdır.",
	"H120":  "Alıcı (recipient) kabul edilemedi. Geçerli bir eposta adresi giriniz.",
	"H121":  "Alıcı (recipient) için E164 uluslararası([+][country code][area code][local phone number]) formatına uygun bir telefon numarası girilmelidir. (örn. +905992000000)",
	"H123":  "Servis meşgul. Lütfen daha sonra tekrar deneyiniz.",
	"H124":  "Saniyede kabul edilen istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H126":  "Bayi listesi en fazla 3000 elemanlı olabilir.",
	"H127":  "Alıcı listesi en fazla 1000 elemanlı olabilir.",
	"H155":  "İzin kaynağı “1 Mayıs 2015 öncesi” olan izinler için, izin tarihi sadece 2015-05-01 00:00:00 olabilir.",
	"H156":  "İzinler için 1 Mayıs 2015’den önceki tarihler kabul edilmemektedir.",
	"H157":  "Geçerli bir tarih girilmelidir.",
	"H158":  "İzin tarihi yyyy-mm-dd hh:mm:ss formatında olmalıdır.",
	"H160":  "Telefon numarası en fazla 15 karakter olabilir.",
	"H162":  "Mevcut tarih ve saatten ileri bir tarih ve saat girilmemelidir.",
	"H163":  "Bayi listesi boş olamaz.",
	"H164":  "Alıcı listesi boş olamaz.",
	"H166":  "Telefon numarası en fazla 15 karakter olabilir.",
	"H168":  "Alıcı listesi (recipients) bulunamadı.",
	"H169":  "Bayi listesi (retailerAccess) bulunamadı.",
	"H170":  "Alıcı tipi (recipientType) bulunamadı.",
	"H174":  "İzin durumu (status) güncellemesi için farklı bir durum girilmelidir. İzin durumu: RET",
	"H175":  "İlk defa kaydedilen bir iznin durum (status) bilgisi RET olmamalıdır.",
	"H178":  "Sistemdeki iznin tarihinden önceki tarihli izinlerle güncelleme yapılamaz.",
	"H180":  "Bayi bulunamadı.",
	"H182":  "offset geçerli değil.",
	"H183":  "limit geçerli değil.",
	"H186":  "Sayfa en fazla 100 elemanlı olabilir.",
	"H187":  "limit sıfır olamaz.",
	"H190":  "iysCode tam sayı olmalıdır.",
	"H191":  "brandCode tam sayı olmalıdır.",
	"H192":  "İstek zaman aşımına uğradı.",
	"H193":  "Listede tekrarlanan kayıt bulunmaktadır.",
	"H194":  "İzin listede daha önce tanımlandı. Liste içinde izinler alıcı tipi (recipientType), tip (type) ve alıcı (recipient) değerleri için tekrarlanamaz.",
	"H198":  "requestId en fazla 36 karakter olabilir.",
	"H199":  "requestId sadece harflerden oluşamaz.",
	"H400":  "requestId sadece rakamlardan oluşamaz.",
	"H171":  "Bayi izin erişimi isteği geçerli değil.",
	"H172":  "Bayi izin erişimi silme isteği geçerli değil.",
	"H173":  "Bayi izin erişimi sorgulama isteği geçerli değil.",
	"H184":  "all geçerli değil.",
	"H185":  "short geçerli değil.",
	"H201":  "Bayi durumu (status) için uygun değerler: active, passive, suspended",
	"H214":  "Bayi unvanı (title) bulunamadı.",
	"H215":  "Bayi adı (name) bulunamadı.",
	"H216":  "Bayi kimlik numarası (tckn) bulunamadı.",
	"H217":  "İl (city) bulunamadı.",
	"H218":  "İl kodu (city.code) bulunamadı.",
	"H219":  "İl adı (city.name) bulunamadı.",
	"H220":  "İlçe (town) bulunamadı.",
	"H221":  "İlçe kodu (town.code) bulunamadı.",
	"H222":  "İlçe adı (town.name) bulunamadı.",
	"H224":  "Bayi telefonu geçerli değil.",
	"H225":  "Bayi kimlik numarası (tckn) geçerli değil.",
	"H226":  "Bayi kimlik numarası (tckn) 11 haneli olmalıdır.",
	"H227":  "mersis geçerli değil.",
	"H228":  "mersis 16 haneli olmalıdır.",
	"H229":  "Alan alfanümerik olmalıdır.",
	"H230":  "mersis numarası tekil olmalıdır.",
	"H231":  "Bayi kimlik numarası (tckn) tekil olmalıdır.",
	"H243":  "tin geçerli değil.",
	"H244":  "tin 10 veya 11 haneli olmalıdır.",
	"H253":  "Aynı kimlik veya mersis numarasına sahip pasif bir bayi bulunmaktadır.",
	"H288":  "tin bulunamadı.",
	"H401":  "Bayi erişimi verilecek izin bulunamadı.",
	"H501":  "reportDate yyyy-mm-dd formatında olmalıdır.",
	"H502":  "reportDate son 7 gün içinde olmalıdır.",
	"H512":  "agreementStatus true olmalıdır.",
	"H530":  "Bağlantı oluşturulamadı.",
	"H531":  "Bağlantı adresi https olmalıdır.",
	"H568":  "Ret linki sadece ONAY durumundaki izinler için üretilebilir.",
	"H1000": "Form yayında değil.",
	"H1005": "Zorunlu alan bulunamadı.",
	"H1010": "Alan değeri geçerli değil.",
	"H1012": "verificationType geçerli değil.",
	"H1013": "title için uygun değerler: ETK, KVK",
	"H1014": "Marka bu iysCode ile eşleşmiyor.",
	"H1015": "ViA kontörü bulunmamaktadır.",
	"H1016": "Gönderilen istek JSON formatına uygun olmalıdır.",
	"H1026": "Geçerli bir telefon numarası girilmelidir.",
	"H1027": "Geçerli bir eposta adresi girilmelidir.",
	"H1030": "requestId bulunamadı.",
	"H1032": "İşlem daha önce tamamlandı.",
	"H1045": "Eksik veya geçersiz jeton!",
	"H1046": "iysCode, kullanıcı izinleriyle eşleştirilemiyor",
	"H1050": "Doğrulama kodu 3 kez hatalı girildi.",
	"H1051": "Doğrulama kodunun süresi doldu.",
	"H1052": "Doğrulama kodu hatalı.",
	"H1056": "Doğrulama tipi kod içermiyor.",
	"H1064": "verificationType başlatılan işlem ile aynı olmalıdır.",
	"H1066": "EPOSTA izni başka bir izin tipi ile birlikte istenemez.",
	"H1072": "Belge bulunamadı.",
	"H251":  "Kimlik bilgileri geçersiz.",
	"H266":  "Değer bulunamadı.",
	"H267":  "Değer boş olamaz.",
	"H351":  "Eksik veya geçersiz jeton!",
	"H353":  "iysCode, kullanıcı izinleriyle eşleştirilemiyor",
	"H363":  "Bu servis için yetkiniz bulunmamaktadır.",
	"H408":  "HS_KARAR kaynağından iletilen izinler için durum bilgisi RET olmalıdır.",
	"H437":  "Abonelik bulunamadı.",
	"H462":  "Tacir izin güncellemesi için izin tarihi (consentDate) girilmelidir.",
	"H463":  "Tacir izin güncellemesi için izin kaynağı (source) girilmelidir.",
	"H464":  "Alıcı, izin tipi ile uyumlu değil.",
	"H467":  "Üç iş günü öncesinde alınan izinler kaydedilemez.",
	"H470":  "Beklenmedik bir hata oluştu!",
	"H478":  "recipients bir liste olmalıdır.",
	"H486":  "İzin kaynağı (source) uygun bir değer olmalıdır.",
	"H506":  "source için uygun değerler: HS, IYS",
	"H507":  "limit en fazla 1000 olabilir.",
	"H520":  "Aboneliğiniz duraklatılmış veya süresi dolmuştur.",
	"H521":  "Aboneliğiniz kapatılmıştır.",
	"H522":  "Bu servisi sadece iş ortakları kullanabilir.",
	"H524":  "Abonelik bulunamadı.",
	"H525":  "Kullanılan izin sayısı maksimum sayıya ulaştığı için yeni izin eklenememektedir.",
	"H586":  "Paketinizin API kullanım hakkı bulunmamaktadır.",
}

// DocumentedCodes returns the codes of iys-api.md §17.2, in its order, and
// those of ViA (§17.3) that a gateway's calls can meet; for tables that shall
// leave none out.
func DocumentedCodes() []string { return strings.Fields(documented) }

const documented = `H001 H014 H015 H016 H017 H018 H031 H058 H060 H061 H062 H067 H082 H083 H084 H085 H086 H089 H090 H091 H092 H093 H095 H097 H098
H100 H101 H102 H105 H103 H106 H107 H110 H111 H112 H113 H114 H115 H116 H117 H118 H119 H120 H121 H122 H123 H124 H125 H126 H127 H129 H155 H156 H157
H158 H162 H160 H166 H163 H164 H168 H169 H170 H171 H172 H173 H174 H175 H176 H178 H179 H180 H181 H182 H183 H184 H185 H186 H187 H190 H191 H192 H193
H194 H195 H196 H197 H404 H198 H199 H400 H201 H214 H215 H216 H217 H218 H219 H220 H221 H222 H224 H225 H226 H227 H228 H229 H230 H231 H241 H243 H244
H288 H245 H250 H252 H251 H253 H266 H267 H268 H351 H353 H355 H363 H401 H402 H403 H405 H408 H412 H470 H476 H437 H450 H451 H452 H453 H454 H455 H456
H457 H458 H459 H460 H465 H462 H463 H464 H467 H478 H486 H501 H502 H503 H506 H507 H512 H520 H521 H524 H586 H522 H525 H530 H531 H568
H1000 H1005 H1010 H1012 H1013 H1014 H1015 H1016 H1026 H1027 H1030 H1032 H1045 H1046 H1050 H1051 H1052 H1056 H1064 H1066 H1072`

func (s *Sim) encode(p problem) map[string]any {
	key := "code"
	if s.odd.CodeColon {
		key = "code:"
	}
	msg := p.Message
	if msg == "" {
		msg = texts[p.Code]
	}
	m := map[string]any{key: p.Code, "message": msg}
	if p.indexed {
		m["index"] = p.Index
	}
	if p.Location != nil {
		m["location"] = p.Location
	}
	if p.Value != nil {
		m["value"] = p.Value
	}
	return m
}

// fail answers errors in the shape of iys-api.md §17.1.
func (s *Sim) fail(status int, ps ...problem) answer {
	list := make([]map[string]any, len(ps))
	for i, p := range ps {
		list[i] = s.encode(p)
	}
	if s.odd.ErrorsObject && len(list) == 1 {
		return answer{status, map[string]any{"errors": list[0]}}
	}
	return answer{status, map[string]any{"errors": list}}
}

func (s *Sim) failp(status int, ps ...problem) *answer {
	a := s.fail(status, ps...)
	return &a
}

// at puts a problem onto a field.
func at(code, field string, value any) problem {
	return problem{Code: code, Location: []any{field}, Value: value}
}
